//! Forms, the one way into the webapi: `application/x-www-form-urlencoded` and `multipart/form-data`.
//!
//! While a form arrives, what exceeds a small threshold goes to one unnamed temporary file, however many parts
//! there are. Files stay there until the message is composed, which reads them piece by piece; how much all that is
//! composed at a time may hold in memory is bounded.

use super::{
    body::Body,
    error::{ApiError, Code},
    fingerprint::fingerprint,
    memory::{Memory, Reserved},
    spool::{Spool, Spooled, Spools},
};
use actix_multipart::{Field, Multipart};
use actix_web::{HttpRequest, http::header, web};
use bytes::Bytes;
use config::Limits;
use mail::Octets;
use serde::de::DeserializeOwned;
use std::ops::Range;

/// Parts of a form, and fields of the other kind of form.
const PARTS_MAX: usize = 1_000;
/// Below this, parsing takes less than a handover to another thread.
const PARSE_INLINE_MAX: usize = 256 * 1024;

/// A form that arrived.
#[derive(Debug)]
pub(super) struct Form {
    /// The JSON of its field `request`.
    request: Bytes,
    /// Its files, in order.
    pub(super) files: Vec<FormFile>,
    /// The octets of the whole.
    pub(super) size: usize,
    /// The right to hold it and what is made of it.
    memory: Option<Reserved>,
}

/// A file of a form.
#[derive(Clone, Debug)]
pub(super) struct FormFile {
    pub(super) kind: FileKind,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) content_id: String,
    pub(super) data: Octets,
}

/// What a file is to its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Alternative,
    Inline,
    Attached,
}

impl FileKind {
    pub(super) fn of_field(name: &str) -> Option<FileKind> {
        match name {
            "alternativefile" => Some(FileKind::Alternative),
            "inlinefile" => Some(FileKind::Inline),
            "attachedfile" => Some(FileKind::Attached),
            _ => None,
        }
    }
}

impl Form {
    /// Reads the request object.
    pub(super) async fn parse<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, ApiError> {
        let json = self.request.clone();
        if json.len() <= PARSE_INLINE_MAX { parse(&json) } else { web::block(move || parse(&json)).await? }
    }

    /// What tells the form from others: what its request object means, and its files, which are read once more for it.
    pub(super) async fn fingerprint(&self) -> Result<[u8; 32], ApiError> {
        let request = self.parse().await?;
        if self.size <= PARSE_INLINE_MAX {
            return Ok(fingerprint(&request, &self.files)?);
        }
        let files = self.files.clone();
        Ok(web::block(move || fingerprint(&request, &files)).await??)
    }

    /// Lets go of the request object, once it is parsed.
    pub(super) fn forget_request(&mut self) {
        self.request = Bytes::new();
    }

    /// Lets others have the memory of this form, of which nothing large is held any more.
    pub(super) fn give_memory_back(&mut self) {
        self.memory = None;
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    // serde would also take an array for an object.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::protocol("the field \"request\" must hold a JSON object"));
    }
    serde_json::from_slice(json)
        .map_err(|error| ApiError::protocol(format!("the field \"request\": {error}")))
}

/// Reads forms.
pub(super) struct FormReader {
    request_max: u64,
    spools: Spools,
    memory: Memory,
}

impl FormReader {
    pub(super) fn new(limits: &Limits, spools: Spools, memory: Memory) -> FormReader {
        FormReader { request_max: limits.request_size_max, spools, memory }
    }

    /// Reads the form that a request brings.
    pub(super) async fn read(&self, request: &HttpRequest, payload: web::Payload) -> Result<Form, ApiError> {
        let body = Body::new(payload, self.request_max);
        let form = match announced_size(request) {
            Some(size) if size > self.request_max => Err(self.too_large()),
            size => self.read_body(request, &body, size).await,
        };
        if form.is_err() {
            // Otherwise a client that is still sending might never see the answer.
            body.drain().await;
        }
        form
    }

    async fn read_body(
        &self,
        request: &HttpRequest,
        body: &Body,
        size: Option<u64>,
    ) -> Result<Form, ApiError> {
        let mut spool = self.spools.open(size);
        let fields = match form_type(request) {
            Some(FormType::UrlEncoded) => {
                self.read_urlencoded(body, &mut spool).await?;
                None
            }
            Some(FormType::Multipart) => Some(self.read_multipart(request, body, &mut spool).await?),
            None => {
                return Err(ApiError::protocol(
                    "the Content-Type must be application/x-www-form-urlencoded or multipart/form-data",
                ));
            }
        };
        let size = spool.len();
        let memory = self.memory.reserve(size).await?;
        let spooled = spool.finish().await?;
        let (json, files) = match fields {
            Some(fields) => fields.cut(&spooled).await?,
            None => (request_of_urlencoded(spooled.read(0..size).await?).await?, Vec::new()),
        };
        if json.is_empty() {
            return Err(ApiError::protocol("the field \"request\" is missing or empty"));
        }
        Ok(Form { request: json, files, size, memory })
    }

    async fn read_urlencoded(&self, body: &Body, spool: &mut Spool) -> Result<(), ApiError> {
        let mut pieces = body.clone();
        while let Some(piece) = body.next_of(&mut pieces).await? {
            let piece = piece.map_err(|error| self.refused(body, error))?;
            spool.push(&piece).await?;
        }
        Ok(())
    }

    async fn read_multipart(
        &self,
        request: &HttpRequest,
        body: &Body,
        spool: &mut Spool,
    ) -> Result<Fields, ApiError> {
        let mut multipart = Multipart::new(request.headers(), body.clone());
        let mut fields = Fields::default();
        while let Some(field) = body.next_of(&mut multipart).await? {
            let mut field = field.map_err(|error| self.refused(body, error))?;
            fields.count += 1;
            if fields.count > PARTS_MAX {
                return Err(ApiError::protocol(format!("the form has more than {PARTS_MAX} parts")));
            }
            let start = spool.len();
            while let Some(piece) = body.next_of(&mut field).await? {
                let piece = piece.map_err(|error| self.refused(body, error))?;
                spool.push(&piece).await?;
            }
            fields.add(&field, start..spool.len())?;
        }
        Ok(fields)
    }

    fn refused(&self, body: &Body, error: impl std::fmt::Display) -> ApiError {
        if body.is_over() { self.too_large() } else { ApiError::protocol(format!("the form: {error}")) }
    }

    fn too_large(&self) -> ApiError {
        let message = format!("the request is larger than {} bytes", self.request_max);
        ApiError::new(Code::MessageTooLarge, message)
    }
}

enum FormType {
    UrlEncoded,
    Multipart,
}

fn form_type(request: &HttpRequest) -> Option<FormType> {
    let text = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence {
        _ if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") => Some(FormType::UrlEncoded),
        _ if essence.eq_ignore_ascii_case("multipart/form-data") => Some(FormType::Multipart),
        _ => None,
    }
}

fn announced_size(request: &HttpRequest) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Where the fields of a multipart form lie in its spool.
#[derive(Default)]
struct Fields {
    count: usize,
    request: Option<Range<usize>>,
    files: Vec<(FormFile, Range<usize>)>,
}

impl Fields {
    fn add(&mut self, field: &Field, range: Range<usize>) -> Result<(), ApiError> {
        let name = field.name().unwrap_or_default();
        if name == "request" {
            return match self.request.replace(range) {
                None => Ok(()),
                Some(_) => Err(twice()),
            };
        }
        let disposition = field.content_disposition();
        let given = disposition.and_then(|disposition| disposition.get_filename());
        let extended = disposition
            .and_then(|disposition| disposition.get_filename_ext())
            .and_then(|name| String::from_utf8(name.value.clone()).ok());
        let file_name = extended.or_else(|| given.map(str::to_owned));
        // What a browser sends for a field in which no file was chosen.
        if given == Some("") && range.is_empty() {
            return Ok(());
        }
        let Some(kind) = FileKind::of_field(name) else {
            return match file_name {
                // Such as the button of an HTML form.
                None => Ok(()),
                // In a misspelt field, it would be missing from the message.
                Some(_) => Err(unknown_file(name)),
            };
        };
        let file = FormFile {
            kind,
            name: file_name.unwrap_or_default(),
            content_type: part_header(field, "content-type")?,
            content_id: part_header(field, "content-id")?,
            data: Bytes::new().into(),
        };
        self.files.push((file, range));
        Ok(())
    }

    /// The JSON of the request, and the files.
    async fn cut(self, spooled: &Spooled) -> Result<(Bytes, Vec<FormFile>), ApiError> {
        let request = spooled.read(self.request.unwrap_or_default()).await?;
        let cut = |(file, range)| FormFile { data: spooled.octets(range), ..file };
        Ok((request, self.files.into_iter().map(cut).collect()))
    }
}

fn part_header(field: &Field, name: &str) -> Result<String, ApiError> {
    let Some(value) = field.headers().get(name) else { return Ok(String::new()) };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(|text| text.trim().to_owned())
        .map_err(|_| ApiError::protocol(format!("the {name} of a part of the form is not UTF-8")))
}

fn twice() -> ApiError {
    ApiError::protocol("the field \"request\" is there twice")
}

fn unknown_file(field: &str) -> ApiError {
    let field: String = field.chars().take(100).collect();
    ApiError::protocol(format!(
        "the form has a file in the unknown field {field:?}; files go into alternativefile, inlinefile and attachedfile"
    ))
}

async fn request_of_urlencoded(form: Bytes) -> Result<Bytes, ApiError> {
    if form.len() <= PARSE_INLINE_MAX {
        return find_request(&form);
    }
    web::block(move || find_request(&form)).await?
}

/// The decoded value of the field `request`.
fn find_request(form: &[u8]) -> Result<Bytes, ApiError> {
    let mut request = None;
    for (count, pair) in form.split(|b| *b == b'&').enumerate() {
        if count == PARTS_MAX {
            return Err(ApiError::protocol(format!("the form has more than {PARTS_MAX} fields")));
        }
        if pair.is_empty() {
            continue;
        }
        let (name, value) = match pair.iter().position(|b| *b == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[..0]),
        };
        let name = decoded(name);
        if let Some(field) = str::from_utf8(&name).ok().filter(|name| FileKind::of_field(name).is_some()) {
            let message = format!("the field {field:?} is for files, which need multipart/form-data");
            return Err(ApiError::protocol(message));
        }
        if name != b"request" {
            continue;
        }
        if request.replace(decoded(value)).is_some() {
            return Err(twice());
        }
    }
    Ok(request.unwrap_or_default().into())
}

/// Percent-decodes; a `%` without two hex digits stands for itself (WHATWG URL, 1.3).
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => out.push(b'%'),
            },
            (other, _) => out.push(*other),
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{FromRequest, error::PayloadError, test::TestRequest};
    use futures_util::{Stream, StreamExt};
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::{path::Path, pin::Pin, time::Duration};
    use store::{Store, StoreOptions};
    use tokio::time::Instant;

    fn store(dir: &Path, disk_reserve: u64) -> Store {
        let options = StoreOptions { map_size: 1 << 26, map_reserve: 0, disk_reserve, inline_max: 1000 };
        Store::open(dir, options).unwrap().0
    }

    fn reader(request_max: u64, memory_max: u64) -> (FormReader, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut limits = config::Settings::defaults().limits;
        (limits.request_size_max, limits.upload_memory_max) = (request_max, memory_max);
        let spools = Spools::new(store(dir.path(), 0), memory_max as usize).unwrap();
        (FormReader::new(&limits, spools, Memory::new(request_max)), dir)
    }

    async fn read(reader: &FormReader, content_type: &str, body: impl Into<Bytes>) -> Result<Form, ApiError> {
        let request = TestRequest::post().insert_header((header::CONTENT_TYPE, content_type.to_owned()));
        let (request, mut payload) = request.set_payload(body).to_http_parts();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        reader.read(&request, payload).await
    }

    fn held(octets: &Octets) -> Vec<u8> {
        let mut held = Vec::new();
        octets.in_pieces(|piece| held.extend_from_slice(piece)).unwrap();
        held
    }

    const URLENCODED: &str = "application/x-www-form-urlencoded";
    const MULTIPART: &str = "multipart/form-data; boundary=b";

    fn part(headers: &str, data: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {headers}\r\n\r\n{data}\r\n")
    }

    #[actix_web::test]
    async fn a_urlencoded_form_holds_the_request() {
        let (reader, _dir) = reader(1_000, 1_000);
        for (body, expected) in [
            ("request=%7B%22a%22%3A+%22%C3%A9%22%7D", Ok("{\"a\": \"é\"}")),
            ("request={}", Ok("{}")),
            ("&request={}&", Ok("{}")),
            ("utf8=%E2%9C%93&request={}&submit", Ok("{}")),
            ("submit=Send", Err(Code::Protocol)),
            ("request=100%25%2", Ok("100%%2")),
            ("request=", Err(Code::Protocol)),
            ("request", Err(Code::Protocol)),
            ("", Err(Code::Protocol)),
            ("request={}&request={}", Err(Code::Protocol)),
            ("request={}&attachedfile=x", Err(Code::Protocol)),
        ] {
            let form = read(&reader, URLENCODED, body).await;
            let json = form.map(|form| String::from_utf8(form.request.to_vec()).unwrap());
            assert_eq!(json.map_err(|error| error.code), expected.map(str::to_owned), "{body}");
        }
    }

    #[actix_web::test]
    async fn a_multipart_form_holds_the_request_and_files() {
        let body = [
            part("name=attachedfile; filename=\"é.txt\"\r\nContent-Type: text/x; a=b", "one"),
            part("name=request", "{\"a\": 1}"),
            part("name=inlinefile; filename=x\r\nContent-ID: <id@x>", "two\r\n"),
            part("name=inlinefile; filename=\"\"\r\nContent-Type: application/octet-stream", ""),
            part("name=submit", "Send"),
            part("name=picture; filename=\"\"\r\nContent-Type: application/octet-stream", ""),
            part("name=alternativefile", ""),
            "--b--\r\n".into(),
        ]
        .concat();
        for memory_max in [0, 5, 100_000] {
            let (reader, _dir) = reader(100_000, memory_max);
            let form = read(&reader, MULTIPART, body.clone()).await.unwrap();
            assert_eq!(form.request, "{\"a\": 1}");
            let data: Vec<_> = form.files.iter().map(|file| held(&file.data)).collect();
            let files: Vec<_> = form
                .files
                .iter()
                .zip(&data)
                .map(|(file, data)| (file.kind, &*file.name, &*file.content_type, &*file.content_id, &**data))
                .collect();
            assert_eq!(
                files,
                [
                    (FileKind::Attached, "é.txt", "text/x; a=b", "", &b"one"[..]),
                    (FileKind::Inline, "x", "", "<id@x>", b"two\r\n"),
                    (FileKind::Alternative, "", "", "", b""),
                ]
            );
        }
    }

    #[actix_web::test]
    async fn a_file_in_an_unknown_field_is_refused_and_told_the_known_ones() {
        let (reader, _dir) = reader(100_000, 100);
        for (headers, data) in [
            ("name=attachedfiles; filename=x", "data"),
            ("name=attachedfiles; filename=x", ""),
            ("name=attachedfiles; filename=\"\"", "data"),
            ("name=attachedfiles; filename*=UTF-8''%C3%A9", "data"),
        ] {
            let body = part("name=request", "{}") + &part(headers, data) + "--b--";
            let error = read(&reader, MULTIPART, body).await.unwrap_err();
            assert_eq!(error.code, Code::Protocol, "{headers}");
            for field in ["\"attachedfiles\"", "alternativefile", "inlinefile", "attachedfile"] {
                assert!(error.message.contains(field), "{headers}: {}", error.message);
            }
        }
    }

    #[actix_web::test]
    async fn what_is_no_form_is_a_protocol_error() {
        let (reader, _dir) = reader(100_000, 100);
        let many: String = (0..=PARTS_MAX).map(|_| part("name=attachedfile; filename=x", "")).collect();
        for (content_type, body) in [
            ("application/json", "{}".to_owned()),
            ("", "request={}".to_owned()),
            ("multipart/form-data", part("name=request", "{}") + "--b--"),
            ("multipart/mixed; boundary=b", part("name=request", "{}") + "--b--"),
            (MULTIPART, part("name=request", "{}")),
            (MULTIPART, part("name=request", "{}") + &part("name=request", "{}") + "--b--"),
            (MULTIPART, part("name=other", "{}") + "--b--"),
            (MULTIPART, part("name=attachedfile; filename=x", "{}") + "--b--"),
            (MULTIPART, "garbage".to_owned()),
            (MULTIPART, many + "--b--"),
        ] {
            let error = read(&reader, content_type, body.clone()).await.unwrap_err();
            assert_eq!(error.code, Code::Protocol, "{content_type}: {}", error.message);
        }
    }

    #[actix_web::test]
    async fn a_form_larger_than_allowed_is_refused() {
        let (reader, _dir) = reader(1_000, 100);
        let fits = format!("request={}", "x".repeat(992));
        assert_eq!(read(&reader, URLENCODED, fits.clone()).await.unwrap().size, 1_000);
        assert_eq!(read(&reader, URLENCODED, fits + "x").await.unwrap_err().code, Code::MessageTooLarge);
        let large = part("name=attachedfile; filename=x", &"x".repeat(1_000)) + "--b--";
        assert_eq!(read(&reader, MULTIPART, large).await.unwrap_err().code, Code::MessageTooLarge);
    }

    /// Reads a urlencoded form of which so many octets come at each interval.
    async fn read_slowly(size: usize, piece: usize, interval: Duration) -> (Result<usize, Code>, Duration) {
        let (reader, _dir) = reader(10_000_000, 10_000_000);
        let body = format!("request={}", "x".repeat(size - 8));
        let pieces: Vec<Bytes> = body.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
        let start = Instant::now();
        let stream = futures_util::stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(interval).await;
            Ok::<_, PayloadError>(piece)
        });
        let request = TestRequest::post().insert_header((header::CONTENT_TYPE, URLENCODED)).to_http_request();
        let stream: Pin<Box<dyn Stream<Item = _>>> = Box::pin(stream);
        let mut payload = actix_web::dev::Payload::from(stream);
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        let read = reader.read(&request, payload).await;
        (read.map(|form| form.size).map_err(|error| error.code), start.elapsed())
    }

    #[actix_web::test]
    async fn a_slow_form_may_take_its_time_and_a_dribble_may_not() {
        tokio::time::pause();
        let second = Duration::from_secs(1);
        // As slow as can be for over an hour, and a little slower.
        let (size, took) = read_slowly(9_000_000, 8 * 1024, second).await;
        assert_eq!(size, Ok(9_000_000));
        assert!(took > 1_000 * second, "{took:?}");
        let (size, took) = read_slowly(9_000_000, 6 * 1024, second).await;
        assert_eq!(size, Err(Code::Protocol));
        assert!(took < 300 * second, "{took:?}");
        // A small form is not counted by its octets.
        assert_eq!(read_slowly(40, 1, second).await.0, Ok(40));
        let (size, took) = read_slowly(1_000, 1, 20 * second).await;
        assert_eq!(size, Err(Code::Protocol));
        assert!(took < 70 * second, "{took:?}");
        // Nothing at all for a while.
        let (size, took) = read_slowly(1_000, 10, 40 * second).await;
        assert_eq!(size, Err(Code::Protocol));
        assert!(took < 40 * second, "{took:?}");
    }

    #[actix_web::test]
    async fn large_forms_are_shed_where_the_disk_has_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let limits = config::Settings::defaults().limits;
        let spools = Spools::new(store(dir.path(), u64::MAX), 1_000).unwrap();
        let reader = FormReader::new(&limits, spools, Memory::new(1_000_000));
        let form = async |size| read(&reader, URLENCODED, format!("request={}", "x".repeat(size))).await;
        assert_eq!(form(1_001).await.unwrap_err().code, Code::Busy);
        assert!(form(900).await.is_ok());
    }

    #[actix_web::test]
    async fn large_forms_wait_for_memory_that_others_hold() {
        let (reader, _dir) = reader(600 * 1024, 10);
        let large = || read(&reader, URLENCODED, format!("request={}", "x".repeat(400 * 1024)));
        let first = large().await.unwrap();
        tokio::time::pause();
        assert_eq!(large().await.unwrap_err().code, Code::Busy);
        drop(first);
        assert!(large().await.is_ok());
    }

    #[actix_web::test]
    async fn a_request_must_be_an_object_of_known_fields() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Request {
            a: u8,
        }
        let (reader, _dir) = reader(1_000_000, 1_000_000);
        let parsed = async |json: &str| {
            let form = read(&reader, URLENCODED, format!("request={json}")).await.unwrap();
            form.parse::<Request>().await.map(|request| request.a).map_err(|error| error.code)
        };
        assert_eq!(parsed(" {\"a\":1}").await, Ok(1));
        assert_eq!(parsed("{}").await, Ok(0));
        assert_eq!(parsed(&format!("{{{}\"a\":1}}", " ".repeat(300_000))).await, Ok(1));
        for bad in
            ["[1]", "null", "1", "{\"b\":1}", "{\"a\":\"1\"}", "{\"a\":1}{}", "{\"a\":1", "{\"a\":\"\\xff\"}"]
        {
            assert_eq!(parsed(bad).await, Err(Code::Protocol), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(text in "[ -~é%+&=]{0,40}") {
            let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(decoded(encoded.as_bytes()), text.as_bytes());
        }

        #[test]
        fn no_form_makes_the_decoder_panic(form in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = find_request(&form);
        }
    }
}

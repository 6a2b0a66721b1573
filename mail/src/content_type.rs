//! Media types: parsed where one is given (RFC 2045, 5.1), and found out where none is.

use std::fmt;

/// A media type that is safe to write in a header: `type/subtype` in lower case and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    essence: Box<str>,
    slash: usize,
    parameters: Vec<Parameter>,
}

/// Name and value.
type Parameter = (Box<str>, Box<str>);

/// Why a text is no media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not of the form type/subtype; name=value, as in text/calendar; method=REQUEST")]
pub struct ContentTypeError;

const MAX_TEXT: usize = 2_000;
const MAX_TOKEN: usize = 127;
const MAX_PARAMETERS: usize = 20;

impl ContentType {
    /// Reads `type/subtype` with any parameters.
    ///
    /// # Errors
    /// When it is not of that form, has a control character, a parameter twice, or is longer than 2,000 octets.
    pub fn parse(text: &str) -> Result<ContentType, ContentTypeError> {
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return Err(ContentTypeError);
        }
        let (essence, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
        let essence = essence.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/').ok_or(ContentTypeError)?;
        if !is_token(kind) || !is_token(subtype) {
            return Err(ContentTypeError);
        }
        let slash = kind.len();
        Ok(ContentType { slash, parameters: parse_parameters(parameters)?, essence: essence.into() })
    }

    /// Octets of a content that tell what it is.
    pub(crate) const START: usize = 4_096;

    /// The media type of a file: from the start of its content, else from the extension of its name, else
    /// `application/octet-stream`.
    pub fn of_file(name: &str, start: &[u8]) -> ContentType {
        let essence = match (from_content(start), from_name(name)) {
            // Many formats are archives or containers inside; the name says which.
            (Some("application/zip" | "video/mp4"), Some(named)) if !named.starts_with("text/") => named,
            (found, named) => found.or(named).unwrap_or(ContentType::OCTET_STREAM_ESSENCE),
        };
        let slash = essence.find('/').expect("the tables hold type/subtype");
        ContentType { essence: essence.into(), slash, parameters: Vec::new() }
    }

    pub(crate) const OCTET_STREAM_ESSENCE: &str = "application/octet-stream";

    /// `type/subtype`, in lower case.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The type before the slash.
    pub fn kind(&self) -> &str {
        &self.essence[..self.slash]
    }

    /// The parameters in order, names in lower case, values decoded.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a parameter, whose name is given in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)
    }
}

fn parse_parameters(text: &str) -> Result<Vec<Parameter>, ContentTypeError> {
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([';', ' ']);
        if rest.is_empty() {
            return Ok(parameters);
        }
        let (name, after) = rest.split_once('=').ok_or(ContentTypeError)?;
        let name = name.trim().to_ascii_lowercase();
        let (value, after) = parse_value(after.trim_start())?;
        if !is_token(&name) || name.contains('*') || parameters.iter().any(|(known, _)| **known == *name) {
            return Err(ContentTypeError);
        }
        if parameters.len() == MAX_PARAMETERS {
            return Err(ContentTypeError);
        }
        parameters.push((name.into(), value.into()));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            return Err(ContentTypeError);
        }
    }
}

fn parse_value(text: &str) -> Result<(String, &str), ContentTypeError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let value = value.trim_end();
        if value.is_empty() || value.contains([' ', '"']) {
            return Err(ContentTypeError);
        }
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next().ok_or(ContentTypeError)?.1),
            _ => value.push(c),
        }
    }
    Err(ContentTypeError)
}

/// RFC 2045, 5.1.
fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

fn from_content(data: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| data.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((.., essence)) = MAGIC.iter().find(|(offset, magic, _)| at(*offset, magic)) {
        return Some(essence);
    }
    if at(0, b"RIFF") {
        return RIFF.iter().find(|(form, _)| at(8, form)).map(|(_, essence)| *essence);
    }
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data).trim_ascii_start();
    let starts =
        |prefix: &[u8]| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    TEXT_STARTS.iter().find(|(prefix, _)| starts(prefix)).map(|(_, essence)| *essence)
}

fn from_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    EXTENSIONS
        .iter()
        .find(|(known, _)| known.split(' ').any(|known| known.eq_ignore_ascii_case(extension)))
        .map(|(_, essence)| *essence)
}

/// Offset, octets at it, media type.
const MAGIC: [(usize, &[u8], &str); 16] = [
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftyp", "video/mp4"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"OggS\0", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"%!PS-Adobe-", "application/postscript"),
];

const RIFF: [(&[u8], &str); 3] =
    [(b"WEBP", "image/webp"), (b"WAVE", "audio/wav"), (b"AVI ", "video/x-msvideo")];

const TEXT_STARTS: [(&[u8], &str); 7] = [
    (b"BEGIN:VCALENDAR", "text/calendar"),
    (b"BEGIN:VCARD", "text/vcard"),
    (b"<!DOCTYPE html", "text/html"),
    (b"<html", "text/html"),
    (b"<svg", "image/svg+xml"),
    (b"{\\rtf", "application/rtf"),
    (b"-----BEGIN PGP SIGNATURE-----", "application/pgp-signature"),
];

const EXTENSIONS: [(&str, &str); 58] = [
    ("txt text log", "text/plain"),
    ("htm html", "text/html"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("tsv", "text/tab-separated-values"),
    ("md markdown", "text/markdown"),
    ("ics ifb", "text/calendar"),
    ("vcf", "text/vcard"),
    ("js mjs", "text/javascript"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("yaml yml", "application/yaml"),
    ("pdf", "application/pdf"),
    ("ps eps", "application/postscript"),
    ("rtf", "application/rtf"),
    ("doc dot", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls xlt", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt pps", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("epub", "application/epub+zip"),
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("bz2", "application/x-bzip2"),
    ("7z", "application/x-7z-compressed"),
    ("rar", "application/vnd.rar"),
    ("tar", "application/x-tar"),
    ("zst", "application/zstd"),
    ("wasm", "application/wasm"),
    ("p7m", "application/pkcs7-mime"),
    ("p7s", "application/pkcs7-signature"),
    ("asc sig", "application/pgp-signature"),
    ("pkpass", "application/vnd.apple.pkpass"),
    ("eml", "message/rfc822"),
    ("png", "image/png"),
    ("jpg jpeg jpe", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("heic", "image/heic"),
    ("svg", "image/svg+xml"),
    ("bmp", "image/bmp"),
    ("ico", "image/vnd.microsoft.icon"),
    ("tif tiff", "image/tiff"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("wav", "audio/wav"),
    ("ogg oga", "audio/ogg"),
    ("flac", "audio/flac"),
    ("mp4 m4v", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_in_the_content_then_in_the_name() {
        let rows: [(&str, &[u8], &str); 19] = [
            ("", b"%PDF-1.7\n...", "application/pdf"),
            ("x.txt", b"%PDF-1.7", "application/pdf"),
            ("", b"\x89PNG\r\n\x1a\n....", "image/png"),
            ("", b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            ("", b"\0\0\0\x20ftypavif....", "image/avif"),
            ("", b"\0\0\0\x20ftypisom....", "video/mp4"),
            ("", b"\xef\xbb\xbfBEGIN:VCALENDAR\r\n", "text/calendar"),
            ("", b" \n<!doctype HTML><p>", "text/html"),
            (
                "book.xlsx",
                b"PK\x03\x04....",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ),
            ("a.zip", b"PK\x03\x04....", "application/zip"),
            ("", b"PK\x03\x04....", "application/zip"),
            ("a.txt", b"PK\x03\x04....", "application/zip"),
            ("a.m4a", b"\0\0\0\x20ftypM4A ....", "audio/mp4"),
            ("notes.TXT", b"hello", "text/plain"),
            ("letter.eml", b"From: a", "message/rfc822"),
            ("archive.tar.gz", b"", "application/gzip"),
            ("no extension", b"hello", "application/octet-stream"),
            ("x.unheard-of", b"\0\x01", "application/octet-stream"),
            ("", b"", "application/octet-stream"),
        ];
        for (name, data, expected) in rows {
            assert_eq!(ContentType::of_file(name, data).essence(), expected, "{name:?} {data:?}");
        }
    }

    #[test]
    fn given_types_are_parsed_with_their_parameters() {
        let given = ContentType::parse("Text/Calendar; Method=REQUEST ; charset=\"utf\\-8\";").unwrap();
        assert_eq!((given.essence(), given.kind()), ("text/calendar", "text"));
        let parameters: Vec<_> = given.parameters().collect();
        assert_eq!(parameters, [("method", "REQUEST"), ("charset", "utf-8")]);
        assert_eq!(given.parameter("charset"), Some("utf-8"));
        assert_eq!(ContentType::parse("image/png").unwrap().parameters().count(), 0);
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in [
            "",
            "pdf",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "text/plain\r\nBcc: x@example.org",
            "text/plain; x",
            "text/plain; x=",
            "text/plain; x=\"a",
            "text/plain; x=a y",
            "text/plain; x=1; X=2",
            "text/plain; name*=utf-8''x",
            "text/plain; x=\"\r\n\"",
            "text/plain; x=\"\u{85}\"",
            "tëxt/plain",
        ] {
            assert_eq!(ContentType::parse(text), Err(ContentTypeError), "{text:?}");
        }
    }

    #[test]
    fn every_type_of_the_tables_parses() {
        let all = MAGIC.iter().map(|row| row.2).chain(RIFF.iter().map(|row| row.1));
        let all = all.chain(TEXT_STARTS.iter().map(|row| row.1)).chain(EXTENSIONS.iter().map(|row| row.1));
        for essence in all {
            assert_eq!(ContentType::parse(essence).map(|t| t.essence().to_owned()).as_deref(), Ok(essence));
        }
    }
}

//! A message to compose, in which everything is parsed.

use crate::{Address, ContentType, Domain, Octets, Timestamp, from_id};
use std::fmt;

/// A message to compose. Its parts are of types that cannot carry a line break into a header.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The author.
    pub from: NameAddress,
    /// Primary recipients.
    pub to: Vec<NameAddress>,
    /// Other recipients.
    pub cc: Vec<NameAddress>,
    /// Recipients that the others do not see: never in the composed message, see [`bcc_header`](crate::bcc_header).
    pub bcc: Vec<NameAddress>,
    /// Where answers go, when not to the author.
    pub reply_to: Vec<NameAddress>,
    /// The identity of the message.
    pub message_id: MessageId,
    /// The thread that the message belongs to, oldest first; the last also becomes In-Reply-To.
    pub references: Vec<MessageId>,
    /// When it was written.
    pub date: Timestamp,
    /// The subject; an empty one makes no header.
    pub subject: HeaderText,
    /// The message as text, lines ended in any way. Of text and HTML at least one is needed.
    pub text: Option<String>,
    /// The message as HTML.
    pub html: Option<String>,
    /// Further headers, in order.
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// Other full representations of the message, such as an invitation.
    pub alternative_files: Vec<File>,
    /// Files that the HTML refers to.
    pub inline_files: Vec<File>,
    /// Attachments.
    pub attached_files: Vec<File>,
    /// The User-Agent header, unless `headers` has User-Agent or X-Mailer.
    pub user_agent: HeaderText,
}

impl Draft {
    /// A draft with what every message has, and the rest empty.
    pub fn new(from: NameAddress, message_id: MessageId, date: Timestamp) -> Draft {
        Draft {
            from,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            message_id,
            references: Vec::new(),
            date,
            subject: HeaderText::default(),
            text: None,
            html: None,
            headers: Vec::new(),
            alternative_files: Vec::new(),
            inline_files: Vec::new(),
            attached_files: Vec::new(),
            user_agent: HeaderText(concat!("postrider/", env!("CARGO_PKG_VERSION")).to_owned()),
        }
    }
}

/// What is wrong with a message to compose. Its text is for the user who sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A control character, such as a line break or a tab.
    #[error("{field} has a control character; remove line breaks, tabs and the like")]
    ControlCharacter {
        /// Where.
        field: Where,
    },
    /// More octets than a field may have.
    #[error("{field} is longer than {max} octets; shorten it")]
    TooLong {
        /// Where.
        field: Where,
        /// The most there may be.
        max: usize,
    },
    /// A custom header's name is no field name (RFC 5322, 3.6.8).
    #[error("Headers: a header name must be 1 to 128 printable ASCII characters without space and colon")]
    HeaderName,
    /// A custom header that the message gets from elsewhere.
    #[error(
        "Headers: {0} cannot be set as a custom header; leave it out and use the field of the request for it"
    )]
    ReservedHeader(HeaderName),
    /// A Message-ID that is none.
    #[error("{0}")]
    MessageId(#[from] MessageIdError),
    /// More references than a header can bear.
    #[error("References has more than {MAX_REFERENCES} message ids; keep the newest")]
    References,
    /// A content id that cannot stand between angle brackets.
    #[error("the ContentID of a file must be 1 to 250 printable ASCII characters without space, < and >")]
    ContentId,
    /// A content type that is none.
    #[error("the ContentType of a file {0}")]
    ContentType(#[from] crate::ContentTypeError),
    /// Neither text nor HTML.
    #[error("the message has no body; set Text, HTML or both")]
    MissingBody,
    /// A file lies elsewhere and cannot be read: no fault of the user.
    #[error("a file could not be read: {0}")]
    Unreadable(std::io::ErrorKind),
}

impl From<std::io::Error> for DraftError {
    fn from(error: std::io::Error) -> DraftError {
        DraftError::Unreadable(error.kind())
    }
}

/// A part of a draft, as its user knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The name beside an address.
    DisplayName,
    /// The subject.
    Subject,
    /// The value of a custom header.
    HeaderValue,
    /// The name of a custom header.
    HeaderName,
    /// A content id.
    ContentId,
    /// A content type.
    ContentType,
    /// The name of a file.
    FileName,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Where::DisplayName => "the Name beside an address",
            Where::Subject => "Subject",
            Where::HeaderValue => "Headers: a header value",
            Where::HeaderName => "Headers: a header name",
            Where::ContentId => "the ContentID of a file",
            Where::ContentType => "the ContentType of a file",
            Where::FileName => "the Name of a file",
        })
    }
}

/// The most references of a message.
pub const MAX_REFERENCES: usize = 500;
const MAX_HEADER_TEXT: usize = 64 * 1024;
const MAX_DISPLAY_NAME: usize = 1_000;
const MAX_FILE_NAME: usize = 1_000;

/// An address with the name of its owner, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddress {
    name: String,
    address: Address,
}

impl NameAddress {
    /// Joins the two. White space around the name is taken off.
    ///
    /// # Errors
    /// When the name has a control character or more than 1,000 octets.
    pub fn new(name: &str, address: Address) -> Result<NameAddress, DraftError> {
        let name = checked(Where::DisplayName, name, MAX_DISPLAY_NAME)?.trim();
        Ok(NameAddress { name: name.to_owned(), address })
    }

    /// The name; empty when there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl From<Address> for NameAddress {
    fn from(address: Address) -> NameAddress {
        NameAddress { name: String::new(), address }
    }
}

/// Text of one header: no control character, at most 64 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderText(String);

impl HeaderText {
    /// Checks `text`; `field` is what an error names.
    ///
    /// # Errors
    /// When it has a control character (a tab is one) or is too long.
    pub fn new(field: Where, text: impl Into<String>) -> Result<HeaderText, DraftError> {
        let text = text.into();
        checked(field, &text, MAX_HEADER_TEXT)?;
        Ok(HeaderText(text))
    }

    /// The text, not encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a custom header (RFC 5322, 3.6.8), in the spelling it was given in.
#[derive(Clone, Debug)]
pub struct HeaderName(Box<str>);

impl HeaderName {
    /// Checks the name of a custom header.
    ///
    /// # Errors
    /// When it is no field name, or that of an address, date, identity, trace or MIME header.
    pub fn parse(text: &str) -> Result<HeaderName, DraftError> {
        if text.chars().any(char::is_control) {
            return Err(DraftError::ControlCharacter { field: Where::HeaderName });
        }
        let is_ftext = |b: u8| b.is_ascii_graphic() && b != b':';
        if !(1..=128).contains(&text.len()) || !text.bytes().all(is_ftext) {
            return Err(DraftError::HeaderName);
        }
        let name = HeaderName(text.into());
        if is_reserved(text) { Err(DraftError::ReservedHeader(name)) } else { Ok(name) }
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the header `name`, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &HeaderName) -> bool {
        self.is(&other.0)
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Headers that fields of the draft or the servers on the way write.
const RESERVED: [&str; 18] = [
    "From",
    "Sender",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Apparently-To",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Return-Path",
    "Received",
    "DKIM-Signature",
    "DKIM2-Signature",
    "Authentication-Results",
];
const RESERVED_PREFIXES: [&str; 3] = ["Content-", "Resent-", "ARC-"];

fn is_reserved(name: &str) -> bool {
    let has_prefix =
        |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    RESERVED.iter().any(|known| name.eq_ignore_ascii_case(known)) || RESERVED_PREFIXES.iter().any(has_prefix)
}

/// A message identifier with its angle brackets (RFC 5322, 3.6.4): at most 250 octets of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(Box<str>);

/// Why a text is no message identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a message id must be of the form <left@right>, in at most 250 printable ASCII characters without space"
)]
pub struct MessageIdError;

const MAX_MESSAGE_ID: usize = 250;

impl MessageId {
    /// Reads `<left@right>`. What is left and right of the sign may be any visible ASCII but `<` and `>`, as
    /// identifiers that other programs made do not keep to the grammar.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn parse(text: &str) -> Result<MessageId, MessageIdError> {
        let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).ok_or(MessageIdError)?;
        let (left, right) = inner.rsplit_once('@').ok_or(MessageIdError)?;
        if text.len() > MAX_MESSAGE_ID || left.is_empty() || right.is_empty() || !is_id(inner) {
            return Err(MessageIdError);
        }
        Ok(MessageId(text.into()))
    }

    /// A new one at the sender's domain. It begins with the time, as a [`crate::FromId`] does and for the same reason.
    pub fn new(now: Timestamp, random: [u8; 12], domain: &Domain) -> MessageId {
        const RIGHT_MAX: usize = MAX_MESSAGE_ID - 29;
        // The identifier needs no domain that resolves; its end is as good as the whole.
        let domain = domain.as_ascii();
        let right = domain[domain.len().saturating_sub(RIGHT_MAX)..].trim_start_matches(['.', '-']);
        MessageId(format!("<{}@{right}>", from_id::fresh(now, random)).into())
    }

    /// With angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without angle brackets.
    pub(crate) fn inner(&self) -> &str {
        &self.0[1..self.0.len() - 1]
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_id(inner: &str) -> bool {
    inner.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>')
}

/// A file of a message.
#[derive(Clone)]
pub struct File {
    pub(crate) name: String,
    pub(crate) content_type: ContentType,
    /// Without angle brackets; empty when there is none.
    pub(crate) content_id: String,
    pub(crate) data: Octets,
}

impl File {
    /// Takes a file. An empty `name` or `content_id` is none; an empty `content_type` is found out from the
    /// content and the name. The content id may stand in angle brackets.
    ///
    /// # Errors
    /// When the content type or id is malformed, the name longer than 1,000 octets, or the content cannot be read. A
    /// name may have control characters: it is encoded.
    pub fn new(
        name: &str,
        content_type: &str,
        content_id: &str,
        data: impl Into<Octets>,
    ) -> Result<File, DraftError> {
        let data = data.into();
        if name.len() > MAX_FILE_NAME {
            return Err(DraftError::TooLong { field: Where::FileName, max: MAX_FILE_NAME });
        }
        let content_type = match content_type {
            "" => ContentType::of_file(name, &data.start(ContentType::START)?),
            given if given.chars().any(char::is_control) => {
                return Err(DraftError::ControlCharacter { field: Where::ContentType });
            }
            given => ContentType::parse(given)?,
        };
        let content_id = parse_content_id(content_id)?.to_owned();
        Ok(File { name: name.to_owned(), content_type, content_id, data })
    }

    /// The name; empty when there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The content type, given or found out.
    pub fn content_type(&self) -> &ContentType {
        &self.content_type
    }

    /// The content.
    pub fn data(&self) -> &Octets {
        &self.data
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("name", &self.name)
            .field("content_type", &self.content_type.essence())
            .field("content_id", &self.content_id)
            .field("octets", &self.data.size())
            .finish()
    }
}

fn parse_content_id(text: &str) -> Result<&str, DraftError> {
    if text.is_empty() {
        return Ok(text);
    }
    if text.chars().any(char::is_control) {
        return Err(DraftError::ControlCharacter { field: Where::ContentId });
    }
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
    if (1..=MAX_MESSAGE_ID).contains(&inner.len()) && is_id(inner) {
        Ok(inner)
    } else {
        Err(DraftError::ContentId)
    }
}

fn checked(field: Where, text: &str, max: usize) -> Result<&str, DraftError> {
    if text.len() > max {
        return Err(DraftError::TooLong { field, max });
    }
    if text.chars().any(char::is_control) {
        return Err(DraftError::ControlCharacter { field });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn message_ids_are_checked() {
        for good in ["<a@b>", "<x.y+z/=@[127.0.0.1]>", "<\"a\"@b@c>", &format!("<{}@b>", "x".repeat(246))] {
            assert_eq!(MessageId::parse(good).map(|id| id.to_string()).as_deref(), Ok(good));
        }
        let long = format!("<{}@b>", "x".repeat(247));
        for bad in [
            "",
            "a@b",
            "<a@b",
            "a@b>",
            "<>",
            "<ab>",
            "<@b>",
            "<a@>",
            "<a b@c>",
            "<a@b>\r\nBcc: <c@d>",
            "<ä@b>",
            &long,
        ] {
            assert_eq!(MessageId::parse(bad), Err(MessageIdError), "{bad:?}");
        }
    }

    #[test]
    fn a_new_message_id_parses_even_at_the_longest_domain() {
        let long = [&"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &*"d".repeat(61)].join(".");
        for domain in ["example.org", "[IPv6:2001:db8::1]", &long] {
            let id = MessageId::new(Timestamp::MAX, [0xab; 12], &Domain::parse(domain).unwrap());
            assert_eq!(MessageId::parse(id.as_str()), Ok(id));
        }
        let id = MessageId::new(
            Timestamp::from_millis(31_000),
            [0xff; 12],
            &Domain::parse("Bücher.example").unwrap(),
        );
        assert_eq!(id.as_str(), "<00000v1vvvvvvvvvvvvvvvvvvv@xn--bcher-kva.example>");
    }

    #[test]
    fn headers_that_the_message_has_from_elsewhere_are_refused() {
        for name in [
            "from",
            "SENDER",
            "To",
            "cc",
            "Bcc",
            "Reply-to",
            "date",
            "Message-Id",
            "In-Reply-To",
            "References",
            "Subject",
            "MIME-Version",
            "content-type",
            "Content-Anything",
            "Return-Path",
            "Received",
            "Resent-From",
            "DKIM-Signature",
            "ARC-Seal",
        ] {
            assert!(matches!(HeaderName::parse(name), Err(DraftError::ReservedHeader(_))), "{name}");
        }
        for name in ["X-Mailer", "List-Unsubscribe", "User-Agent", "Auto-Submitted", "Contents", "X-From"] {
            assert_eq!(HeaderName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "X Y", "X:", "Ü", &"x".repeat(129)] {
            assert_eq!(HeaderName::parse(name), Err(DraftError::HeaderName), "{name:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_everywhere() {
        let address = Address::parse("a@example.org").unwrap();
        for text in ["a\r\nBcc: x", "a\nb", "a\tb", "\0", "a\u{7f}", "a\u{85}b"] {
            let refused = |field| DraftError::ControlCharacter { field };
            assert_eq!(NameAddress::new(text, address.clone()), Err(refused(Where::DisplayName)), "{text:?}");
            assert_eq!(HeaderText::new(Where::Subject, text), Err(refused(Where::Subject)));
            assert_eq!(HeaderText::new(Where::HeaderValue, text), Err(refused(Where::HeaderValue)));
            assert_eq!(HeaderName::parse(text), Err(refused(Where::HeaderName)));
            let file =
                |content_type, id| File::new("x", content_type, id, Bytes::new()).map(|_| ()).unwrap_err();
            assert_eq!(file(text, ""), refused(Where::ContentType));
            assert_eq!(file("", text), refused(Where::ContentId));
        }
    }

    #[test]
    fn a_content_id_may_stand_in_angle_brackets() {
        for (given, kept) in [("", ""), ("logo", "logo"), ("<logo@x>", "logo@x")] {
            assert_eq!(File::new("", "", given, Bytes::new()).unwrap().content_id, kept);
        }
        for bad in ["<>", "a b", "a>b", "ä"] {
            assert_eq!(File::new("", "", bad, Bytes::new()).map(|_| ()), Err(DraftError::ContentId));
        }
    }

    #[test]
    fn errors_name_the_field_and_the_remedy() {
        let error = HeaderText::new(Where::Subject, "a\nb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Subject has a control character; remove line breaks, tabs and the like"
        );
        let error = File::new("", "pdf", "", Bytes::new()).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("the ContentType of a file is not of the form"), "{error}");
    }
}

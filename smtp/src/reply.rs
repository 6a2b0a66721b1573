//! Replies: a code, an enhanced code and a text, read from a server or written by one.

use std::fmt;

use bytes::{Buf as _, BytesMut};
use memchr::memchr;

/// Octets of one reply, all its lines together, before it counts as malformed.
const MAX_REPLY: usize = 64 * 1024;
/// Lines of one reply before it counts as malformed.
const MAX_LINES: usize = 100;
/// Octets of text kept of a reply; the rest is dropped.
const MAX_TEXT: usize = 8 * 1024;
/// Octets of a reply line, CR LF included (RFC 5321 section 4.5.3.1.5).
const MAX_WRITTEN_LINE: usize = 512;

/// An answer of an SMTP server (RFC 5321 section 4.2).
///
/// The code lies within 200 to 599; the enhanced code, if there is one, is of the same class; the text holds no
/// control characters but LF between its lines, and no more than 8 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: Box<str>,
}

/// An enhanced mail system status code (RFC 3463), such as 5.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

/// What a peer sent is not SMTP. The connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProtocolError {
    /// A line does not begin with a code from 200 to 599 and a space or hyphen.
    #[error("a line that is no SMTP reply")]
    Malformed,
    /// The lines of one reply have different codes.
    #[error("a reply with more than one code")]
    MixedCodes,
    /// More than 100 lines or 64 KiB.
    #[error("a reply without end")]
    TooLong,
    /// A reply of a class that cannot answer this command, such as 250 to DATA.
    #[error("an answer {0} that does not fit the command")]
    Unfitting(u16),
    /// A reply that nothing asked for, or data where a TLS handshake has to begin.
    #[error("an answer that nothing asked for")]
    Unsolicited,
}

impl Reply {
    /// A reply without an enhanced code. A `code` outside 200 to 599 is moved to the nearest end. LF in `text`
    /// makes several lines; other control characters become spaces or question marks.
    pub fn new(code: u16, text: &str) -> Self {
        let mut kept = String::with_capacity(text.len().min(MAX_TEXT));
        for (index, line) in text.lines().take(MAX_LINES).enumerate() {
            push_line(&mut kept, index == 0, line);
        }
        Self { code: code.clamp(200, 599), enhanced: None, text: kept.into() }
    }

    /// A reply with an enhanced code of the code's own class: `with_enhanced(550, 1, 1, "...")` is `550 5.1.1`.
    /// A code of the class 3 gets none, since there is none (RFC 2034 section 4).
    pub fn with_enhanced(code: u16, subject: u16, detail: u16, text: &str) -> Self {
        let mut reply = Self::new(code, text);
        let class = u8::try_from(reply.code / 100).expect("a code has three digits");
        reply.enhanced = EnhancedCode::new(class, subject, detail);
        reply
    }

    /// The code, 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, if the reply has one that agrees with its code.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The text without codes, its lines separated by LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of the text; at least one.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// A code of the class 2.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// A code of the class 4: the same may work later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// A code of the class 5: the same will not work later.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// A code of the class 4 or 5.
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Appends the reply as a server says it: ASCII, in lines of at most 512 octets, the enhanced code on every
    /// line (RFC 2034 section 4).
    pub fn write(&self, out: &mut BytesMut) {
        let enhanced = self.enhanced.map(|code| format!("{code} ")).unwrap_or_default();
        let room = MAX_WRITTEN_LINE - "250 \r\n".len() - enhanced.len();
        let ascii: String = self.text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        let mut pieces = ascii.split('\n').flat_map(|line| pieces_of(line, room)).peekable();
        while let Some(piece) = pieces.next() {
            let mark = if pieces.peek().is_some() { '-' } else { ' ' };
            let line = format!("{}{mark}{enhanced}{piece}\r\n", self.code);
            out.extend_from_slice(line.as_bytes());
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

impl EnhancedCode {
    /// The code of this class (2, 4 or 5), subject and detail (at most 999 each); `None` outside of that.
    pub fn new(class: u8, subject: u16, detail: u16) -> Option<Self> {
        (matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999).then_some(Self {
            class,
            subject,
            detail,
        })
    }

    /// Reads `5.1.1`. No leading zeros, no spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(number);
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        Self::new(u8::try_from(class).ok()?, subject, detail)
    }

    /// 2, 4 or 5.
    pub fn class(self) -> u8 {
        self.class
    }

    /// What it is about: 1 addressing, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    pub fn subject(self) -> u16 {
        self.subject
    }

    /// The particular condition within the subject.
    pub fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Reads replies from a stream of bytes.
///
/// It tolerates a bare LF at the end of a line, which some servers send, and bytes that are not UTF-8 in the
/// text. After an error it must not be used again.
#[derive(Debug, Default)]
pub struct ReplyParser {
    buffer: BytesMut,
    /// Octets of `buffer` known to hold no LF.
    scanned: usize,
    partial: Option<Partial>,
}

/// The lines so far of a reply that has more.
#[derive(Debug)]
struct Partial {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: String,
    lines: usize,
    octets: usize,
}

impl ReplyParser {
    /// A parser that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the server. Call [`ReplyParser::next_reply`] until it gives `None` before reading more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete reply, or `None` when more bytes are needed.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ProtocolError> {
        while let Some(found) = memchr(b'\n', &self.buffer[self.scanned..]) {
            let length = self.scanned + found + 1;
            self.scanned = 0;
            let last = self.line(length)?;
            self.buffer.advance(length);
            if last {
                let done = self.partial.take().expect("a line was just read");
                return Ok(Some(Reply { code: done.code, enhanced: done.enhanced, text: done.text.into() }));
            }
        }
        self.scanned = self.buffer.len();
        let before = self.partial.as_ref().map_or(0, |partial| partial.octets);
        if before + self.buffer.len() > MAX_REPLY { Err(ProtocolError::TooLong) } else { Ok(None) }
    }

    /// Whether nothing is held: no started reply and no further one.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.partial.is_none()
    }

    /// Reads the first `length` octets of the buffer as a line; says whether it ends the reply.
    fn line(&mut self, length: usize) -> Result<bool, ProtocolError> {
        let before = self.partial.as_ref().map_or((0, 0), |partial| (partial.octets, partial.lines));
        if before.0 + length > MAX_REPLY || before.1 == MAX_LINES {
            return Err(ProtocolError::TooLong);
        }
        let line = &self.buffer[..length - 1];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, last, text) = split_line(line).ok_or(ProtocolError::Malformed)?;
        let text = String::from_utf8_lossy(text);
        let partial = self.partial.get_or_insert_with(|| Partial {
            code,
            enhanced: leading_enhanced(code, &text),
            text: String::new(),
            lines: 0,
            octets: 0,
        });
        if partial.code != code {
            return Err(ProtocolError::MixedCodes);
        }
        let shown = match partial.enhanced {
            Some(enhanced) if leading_enhanced(code, &text) == Some(enhanced) => after_first_word(&text),
            _ => &text,
        };
        push_line(&mut partial.text, partial.lines == 0, shown);
        partial.lines += 1;
        partial.octets += length;
        Ok(last)
    }
}

/// Code, whether this is the last line, and the text of a reply line without its end.
fn split_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits[0], b'2'..=b'5') || !digits[1..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// The enhanced code that `text` begins with, if it is of the class of `code`.
fn leading_enhanced(code: u16, text: &str) -> Option<EnhancedCode> {
    let word = text.split(' ').next()?;
    EnhancedCode::parse(word).filter(|enhanced| u16::from(enhanced.class) == code / 100)
}

fn after_first_word(text: &str) -> &str {
    text.split_once(' ').map_or("", |(_, rest)| rest)
}

/// Appends a line of a reply's text, printable and within the bound.
fn push_line(text: &mut String, first: bool, line: &str) {
    let room = MAX_TEXT.saturating_sub(text.len() + usize::from(!first));
    if room == 0 {
        return;
    }
    if !first {
        text.push('\n');
    }
    let start = text.len();
    for c in line.chars() {
        if text.len() - start + c.len_utf8() > room {
            return;
        }
        text.push(match c {
            '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        });
    }
}

/// `line`, which is ASCII, in pieces of at most `room` octets; one empty piece for an empty line.
fn pieces_of(line: &str, room: usize) -> impl Iterator<Item = &str> {
    let count = line.len().div_ceil(room).max(1);
    (0..count).map(move |index| &line[index * room..line.len().min((index + 1) * room)])
}

/// A decimal number of up to three digits without leading zeros.
fn number(digits: &str) -> Option<u16> {
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    (plain && (digits.len() == 1 || !digits.starts_with('0'))).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(chunks: &[&[u8]]) -> Result<Vec<Reply>, ProtocolError> {
        let mut parser = ReplyParser::new();
        let mut replies = Vec::new();
        for chunk in chunks {
            parser.push(chunk);
            while let Some(reply) = parser.next_reply()? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn a_reply_is_read_whatever_its_lines() {
        type Row = (&'static [u8], u16, Option<(u8, u16, u16)>, &'static str);
        let table: &[Row] = &[
            (b"250 OK\r\n", 250, None, "OK"),
            (b"250\r\n", 250, None, ""),
            (b"250 \r\n", 250, None, ""),
            (b"250 2.1.5 Recipient ok\r\n", 250, Some((2, 1, 5)), "Recipient ok"),
            (b"550 5.1.1\r\n", 550, Some((5, 1, 1)), ""),
            (b"550-5.1.1 No such\r\n550 5.1.1 user\r\n", 550, Some((5, 1, 1)), "No such\nuser"),
            (b"550-5.1.1 No such\r\n550 user 5.1.1\r\n", 550, Some((5, 1, 1)), "No such\nuser 5.1.1"),
            (b"550 4.1.1 wrong class\r\n", 550, None, "4.1.1 wrong class"),
            (b"550 5.01.1 zero\r\n", 550, None, "5.01.1 zero"),
            (b"550 5.1.1.1 many\r\n", 550, None, "5.1.1.1 many"),
            (b"421 bare end\n", 421, None, "bare end"),
            (b"550 a\x07b\tc\xff\r\n", 550, None, "a?b c\u{fffd}"),
            ("550 Größe\r\n".as_bytes(), 550, None, "Größe"),
        ];
        for (input, code, enhanced, text) in table {
            let expected = Reply {
                code: *code,
                enhanced: enhanced.and_then(|(c, s, d)| EnhancedCode::new(c, s, d)),
                text: (*text).into(),
            };
            assert_eq!(parse(&[input]), Ok(vec![expected.clone()]), "{input:?}");
            let single: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(parse(&single), Ok(vec![expected]), "{input:?} octet by octet");
        }
    }

    #[test]
    fn what_is_no_reply_is_a_protocol_error() {
        let many = "250-x\r\n".repeat(101);
        let wide = format!("250-{}\r\n", "x".repeat(1_000)).repeat(70) + "250 x\r\n";
        let long = "250 ".to_owned() + &"x".repeat(MAX_REPLY);
        let table: &[(&[u8], ProtocolError)] = &[
            (b"hello\r\n", ProtocolError::Malformed),
            (b"25\r\n", ProtocolError::Malformed),
            (b"\r\n", ProtocolError::Malformed),
            (b"250_OK\r\n", ProtocolError::Malformed),
            (b"150 OK\r\n", ProtocolError::Malformed),
            (b"600 OK\r\n", ProtocolError::Malformed),
            (b"2x0 OK\r\n", ProtocolError::Malformed),
            (b"\x16\x03\x01\x00\n", ProtocolError::Malformed),
            (b"250-a\r\n251 b\r\n", ProtocolError::MixedCodes),
            (many.as_bytes(), ProtocolError::TooLong),
            (wide.as_bytes(), ProtocolError::TooLong),
            (long.as_bytes(), ProtocolError::TooLong),
        ];
        for (input, error) in table {
            assert_eq!(parse(&[input]), Err(*error));
            let single: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(parse(&single), Err(*error), "octet by octet");
        }
    }

    #[test]
    fn the_text_kept_is_bounded() {
        let input = format!("550-{}\r\n550 {}\r\n", "ä".repeat(4_000), "b".repeat(4_000));
        let replies = parse(&[input.as_bytes()]).expect("a reply");
        assert_eq!(replies[0].text().len(), MAX_TEXT);
        assert_eq!(replies[0].code(), 550);
    }

    #[test]
    fn a_written_reply_keeps_to_the_line_limit() {
        let mut out = BytesMut::new();
        Reply::with_enhanced(550, 7, 1, &format!("{}\nsecond é\r\n", "x".repeat(600))).write(&mut out);
        let text = String::from_utf8(out.to_vec()).expect("ASCII");
        let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= 512));
        assert!(lines[0].starts_with("550-5.7.1 xxx") && lines[1].starts_with("550-5.7.1 xxx"));
        assert_eq!(lines[2], "550 5.7.1 second ?\r\n");
        out.clear();
        Reply::with_enhanced(354, 0, 0, "").write(&mut out);
        assert_eq!(&out[..], b"354 \r\n");
    }

    proptest! {
        #[test]
        fn a_reply_is_read_as_it_was_written(code in 200u16..600, subject in 0u16..8, detail in 0u16..40,
                                             text in "[a-z][ -~]{0,300}(\n[a-z][ -~]{0,30}){0,3}") {
            let reply = Reply::with_enhanced(code, subject, detail, &text);
            let mut out = BytesMut::new();
            reply.write(&mut out);
            prop_assert_eq!(parse(&[&out]), Ok(vec![reply]));
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let whole = parse(&[&bytes]);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(whole, parse(&single));
        }
    }
}

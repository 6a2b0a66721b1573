//! E-mail addresses: parsed once, at the edge.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

/// The most octets in a localpart, unquoted (RFC 5321, 4.5.3.1.1).
const MAX_LOCALPART: usize = 64;
/// The most octets in an address in its SMTP form: a path of 256 without its brackets (RFC 5321, 4.5.3.1.3).
const MAX_ADDRESS: usize = 254;
/// No domain that fits in [`MAX_ADDRESS`] is longer than this in Unicode form: an A-label has less than one
/// four-octet character for each of its octets.
const MAX_DOMAIN_TEXT: usize = 1024;
/// As [`MAX_DOMAIN_TEXT`], with a localpart of which every octet is escaped.
const MAX_ADDRESS_TEXT: usize = 1280;

/// Why a text is not an address. No variant holds more of the text than one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was given.
    #[error("the address is empty")]
    Empty,
    /// There is white space before or after it.
    #[error("the address has white space around it; remove it")]
    Surrounded,
    /// There are angle brackets, perhaps with a display name before them.
    #[error("the address must stand alone, without a name and without < and >")]
    NotBare,
    /// There is no `@`.
    #[error("the address has no @")]
    NoAt,
    /// There is an `@` outside quotes before the last one.
    #[error("the address has more than one @")]
    ManyAts,
    /// The localpart is empty.
    #[error("the part before the @ is empty")]
    EmptyLocalpart,
    /// The localpart has more than 64 octets.
    #[error("the part before the @ is longer than 64 octets")]
    LocalpartTooLong,
    /// A dot begins or ends the localpart or follows a dot.
    #[error(
        "the part before the @ has a dot at its start, at its end or after another dot; put it in quotes"
    )]
    LocalpartDots,
    /// The localpart has a character that is only allowed in quotes.
    #[error("the part before the @ has {0:?}, which is only allowed in quotes")]
    LocalpartCharacter(char),
    /// The quotes around the localpart are not closed before the `@`.
    #[error("the quotes in the part before the @ must enclose all of it")]
    Quotes,
    /// There is a control character.
    #[error("the part before the @ has a control character")]
    Control,
    /// The domain is empty.
    #[error("the domain is empty")]
    EmptyDomain,
    /// The domain ends in a dot.
    #[error("the domain ends in a dot; remove it")]
    TrailingDot,
    /// There is nothing between two dots of the domain, or before its first.
    #[error("the domain has a dot at its start or two dots in a row")]
    EmptyLabel,
    /// The domain has a character that host names do not have.
    #[error("the domain has {0:?}; only letters, digits, hyphens and dots are allowed")]
    DomainCharacter(char),
    /// A label has more than 63 octets, or the domain more than 253.
    #[error("the domain is too long: 63 octets between dots and 253 in all, as A-labels, are the most")]
    DomainTooLong,
    /// The last label has digits only, as in an IP address.
    #[error("the domain ends in a number; an IP address must stand in brackets, as in [192.0.2.1]")]
    NumericDomain,
    /// The text in brackets is no IP address.
    #[error("the brackets must hold an IP address, as in [192.0.2.1] or [IPv6:2001:db8::1]")]
    Literal,
    /// A label begins or ends in a hyphen, or breaks a rule of IDNA (UTS 46).
    #[error("the domain is not a valid internationalised name")]
    Idna,
    /// The address has more than 254 octets in its SMTP form.
    #[error("the address is longer than 254 octets")]
    TooLong,
}

/// A domain name, or an address literal such as `[192.0.2.1]`. Held as lower-case A-labels without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Reads a host name in Unicode, in A-labels or in a mix, or an address literal (RFC 5321, 4.1.3).
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Domain, AddressError> {
        if let Some(literal) = text.strip_prefix('[') {
            return parse_literal(literal).map(|ip| Domain(address_literal(ip).into()));
        }
        check_name(text)?;
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| AddressError::Idna)?;
        let last = ascii.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::NumericDomain);
        }
        Ok(Domain(ascii.into()))
    }

    /// The form for protocols: lower-case A-labels, or the literal in brackets.
    pub fn as_ascii(&self) -> &str {
        &self.0
    }

    /// The form for people: U-labels.
    pub fn to_unicode(&self) -> Cow<'_, str> {
        if !self.0.contains("xn--") {
            return Cow::Borrowed(&self.0);
        }
        Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast).0
    }

    /// Whether this is an address literal rather than a name.
    pub fn is_literal(&self) -> bool {
        self.0.starts_with('[')
    }

    /// The IP address of an address literal.
    pub fn literal(&self) -> Option<IpAddr> {
        self.0.strip_prefix('[').and_then(|rest| parse_literal(rest).ok())
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Domain, AddressError> {
        Domain::parse(text)
    }
}

/// The form for people: U-labels.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_unicode())
    }
}

/// As a string in A-label form.
impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_ascii())
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Domain, D::Error> {
        Domain::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The part before the `@`, without quotes and escapes, its case kept. Of 1 to 64 octets, without control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Localpart(Arc<str>);

impl Localpart {
    /// Reads a dot-atom or a quoted string (RFC 5321, 4.1.2), either with non-ASCII characters (RFC 6531, 3.3).
    ///
    /// # Errors
    /// When it is neither, empty or too long.
    pub fn parse(text: &str) -> Result<Localpart, AddressError> {
        if text.is_empty() {
            return Err(AddressError::EmptyLocalpart);
        }
        match text.strip_prefix('"') {
            Some(rest) => match split_quoted(rest)? {
                (decoded, "") => Localpart::from_decoded(&decoded),
                _ => Err(AddressError::Quotes),
            },
            None => {
                check_dot_atom(text)?;
                Localpart::from_decoded(text)
            }
        }
    }

    /// Takes text as it is: a quote or a backslash stands for itself.
    ///
    /// # Errors
    /// When it is empty, longer than 64 octets or has a control character.
    pub fn from_decoded(text: &str) -> Result<Localpart, AddressError> {
        if text.is_empty() {
            return Err(AddressError::EmptyLocalpart);
        }
        if text.len() > MAX_LOCALPART {
            return Err(AddressError::LocalpartTooLong);
        }
        if text.contains(char::is_control) {
            return Err(AddressError::Control);
        }
        Ok(Localpart(text.into()))
    }

    /// The text without quotes and escapes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether SMTP can carry it without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

/// As in SMTP: in quotes when it is no dot-atom.
impl fmt::Display for Localpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_localpart(f, &self.0)
    }
}

/// An address as it stands in an envelope: `localpart@domain`.
///
/// Two are equal when their domains are the same name, in whatever case or form it was written, and their
/// localparts are the same text, since only the receiving host may fold the case of those (RFC 5321, 2.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    localpart: Localpart,
    domain: Domain,
}

impl Address {
    /// Whether people mean the same by both: localparts without regard to case, as domains always are.
    pub fn is_same_in_any_case(&self, other: &Address) -> bool {
        self.domain == other.domain
            && self.localpart.as_str().to_lowercase() == other.localpart.as_str().to_lowercase()
    }

    /// Joins the two.
    ///
    /// # Errors
    /// When the SMTP form has more than 254 octets.
    pub fn new(localpart: Localpart, domain: Domain) -> Result<Address, AddressError> {
        let mut written = OctetCount(0);
        write_localpart(&mut written, &localpart.0).expect("counting does not fail");
        if written.0 + 1 + domain.0.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        Ok(Address { localpart, domain })
    }

    /// Reads an address without display name, angle brackets and white space around it.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX_ADDRESS_TEXT {
            return Err(AddressError::TooLong);
        }
        if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
            return Err(AddressError::Surrounded);
        }
        if text.starts_with('<') || text.ends_with('>') {
            return Err(AddressError::NotBare);
        }
        let (localpart, domain) = split_at_sign(text)?;
        Address::new(localpart, Domain::parse(domain)?)
    }

    /// The part before the `@`.
    pub fn localpart(&self) -> &Localpart {
        &self.localpart
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The envelope form: the localpart, quoted if need be, and the domain in A-labels. These stay even beside
    /// a non-ASCII localpart: RFC 6531, 3.2 allows either form then, and A-labels work everywhere.
    pub fn to_smtp(&self) -> String {
        let mut text = String::with_capacity(self.localpart.0.len() + self.domain.0.len() + 3);
        self.write_smtp(&mut text).expect("writing to a String does not fail");
        text
    }

    /// Writes what [`Address::to_smtp`] returns.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_smtp(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write_localpart(out, &self.localpart.0)?;
        out.write_char('@')?;
        out.write_str(self.domain.as_ascii())
    }

    /// Whether only a server with SMTPUTF8 can take it: the localpart is not ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        !self.localpart.is_ascii()
    }

    /// The address whose localpart goes on with `separator` and `suffix`.
    ///
    /// # Errors
    /// When that is too long, or the suffix has control characters.
    pub fn with_separator_suffix(&self, separator: char, suffix: &str) -> Result<Address, AddressError> {
        let localpart = format!("{}{separator}{suffix}", self.localpart.as_str());
        Address::new(Localpart::from_decoded(&localpart)?, self.domain.clone())
    }

    /// The address before the first `separator` of the localpart and the text behind it. The whole address and
    /// nothing when there is no separator, or nothing before it.
    pub fn split_at_separator(&self, separator: char) -> (Address, Option<&str>) {
        match self.localpart.as_str().split_once(separator) {
            Some((base, suffix)) if !base.is_empty() => {
                // A part of a valid localpart is valid, but it may need quotes where the whole did not, as `a.`
                // of `a.+b` in quotes; it is shorter even then.
                let base = Address { localpart: Localpart(base.into()), domain: self.domain.clone() };
                (base, Some(suffix))
            }
            _ => (self.clone(), None),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text)
    }
}

/// The form for people and for JSON: the domain in U-labels.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.localpart, self.domain)
    }
}

/// As a string in the form that `Display` gives.
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        Address::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What `MAIL FROM` names: where reports about a message go (RFC 5321, 4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`: nobody wants a report. Reports themselves are sent so.
    #[default]
    Null,
    /// Reports go to this address.
    Address(Address),
}

impl ReversePath {
    /// Reads an address without brackets; the empty text and `<>` are the null path.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<ReversePath, AddressError> {
        match text {
            "" | "<>" => Ok(ReversePath::Null),
            text => Address::parse(text).map(ReversePath::Address),
        }
    }

    /// The address, if there is one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }

    /// Whether this is `<>`.
    pub fn is_null(&self) -> bool {
        *self == ReversePath::Null
    }

    /// What stands between the angle brackets of `MAIL FROM`; see [`Address::to_smtp`].
    pub fn to_smtp(&self) -> String {
        self.address().map(Address::to_smtp).unwrap_or_default()
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> ReversePath {
        ReversePath::Address(address)
    }
}

impl FromStr for ReversePath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<ReversePath, AddressError> {
        ReversePath::parse(text)
    }
}

/// The address in its form for people; nothing for the null path.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().map_or(Ok(()), |address| address.fmt(f))
    }
}

/// As a string in the form that `Display` gives.
impl Serialize for ReversePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReversePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ReversePath, D::Error> {
        ReversePath::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

fn split_at_sign(text: &str) -> Result<(Localpart, &str), AddressError> {
    if let Some(rest) = text.strip_prefix('"') {
        let (decoded, rest) = split_quoted(rest)?;
        return match rest.strip_prefix('@') {
            Some(domain) => Ok((Localpart::from_decoded(&decoded)?, domain)),
            None if rest.is_empty() => Err(AddressError::NoAt),
            None => Err(AddressError::Quotes),
        };
    }
    let (localpart, domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
    if domain.contains('@') {
        return Err(AddressError::ManyAts);
    }
    Ok((Localpart::parse(localpart)?, domain))
}

/// Decodes a quoted string behind its opening quote; also returns what follows the closing one.
fn split_quoted(text: &str) -> Result<(String, &str), AddressError> {
    let mut decoded = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((decoded, &text[at + 1..])),
            '\\' => decoded.push(chars.next().ok_or(AddressError::Quotes)?.1),
            c => decoded.push(c),
        }
        if decoded.len() > MAX_LOCALPART {
            return Err(AddressError::LocalpartTooLong);
        }
    }
    Err(AddressError::Quotes)
}

fn check_dot_atom(text: &str) -> Result<(), AddressError> {
    for atom in text.split('.') {
        if atom.is_empty() {
            return Err(AddressError::LocalpartDots);
        }
        match atom.chars().find(|&c| !is_atext(c)) {
            None => {}
            Some(c) if c.is_control() => return Err(AddressError::Control),
            Some(c) => return Err(AddressError::LocalpartCharacter(c)),
        }
    }
    Ok(())
}

/// `atext` (RFC 5322, 3.2.3), with the non-ASCII characters of RFC 6531, 3.3.
fn is_atext(c: char) -> bool {
    match c {
        c if !c.is_ascii() => !c.is_control(),
        '!' | '#'..='\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^'..='`' | '{'..='~' => true,
        c => c.is_ascii_alphanumeric(),
    }
}

/// Writes a decoded localpart, in quotes when it is no dot-atom.
pub(crate) fn write_localpart(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    if check_dot_atom(text).is_ok() {
        return out.write_str(text);
    }
    out.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.write_char('\\')?;
        }
        out.write_char(c)?;
    }
    out.write_char('"')
}

/// What can be said about a wrong name better than that it breaks a rule of IDNA.
fn check_name(text: &str) -> Result<(), AddressError> {
    if text.is_empty() {
        return Err(AddressError::EmptyDomain);
    }
    if text.len() > MAX_DOMAIN_TEXT {
        return Err(AddressError::DomainTooLong);
    }
    if let Some(c) =
        text.chars().find(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.'))
    {
        return Err(AddressError::DomainCharacter(c));
    }
    if text.starts_with('.') || text.contains("..") {
        return Err(AddressError::EmptyLabel);
    }
    if text.ends_with('.') {
        return Err(AddressError::TrailingDot);
    }
    if text.is_ascii() && (text.len() > 253 || text.split('.').any(|label| label.len() > 63)) {
        return Err(AddressError::DomainTooLong);
    }
    Ok(())
}

/// Reads an address literal behind its opening bracket.
fn parse_literal(text: &str) -> Result<IpAddr, AddressError> {
    let text = text.strip_suffix(']').ok_or(AddressError::Literal)?;
    let ip = match text.split_at_checked(5) {
        Some((tag, ip)) if tag.eq_ignore_ascii_case("IPv6:") => ip.parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    ip.map_err(|_| AddressError::Literal)
}

/// An IP address as an address literal (RFC 5321, 4.1.3), as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
pub fn address_literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

struct OctetCount(usize);

impl fmt::Write for OctetCount {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_has_a_form_for_people_and_one_for_smtp() {
        for (text, people, smtp) in [
            ("Jane@Example.ORG", "Jane@example.org", "Jane@example.org"),
            ("rider@localhost", "rider@localhost", "rider@localhost"),
            ("a.b+c=d/e@x.example", "a.b+c=d/e@x.example", "a.b+c=d/e@x.example"),
            ("u@BÜCHER.example", "u@bücher.example", "u@xn--bcher-kva.example"),
            ("u@xn--bcher-kva.example", "u@bücher.example", "u@xn--bcher-kva.example"),
            ("u@例え。テスト", "u@例え.テスト", "u@xn--r8jz45g.xn--zckzah"),
            ("jürgen@x.example", "jürgen@x.example", "jürgen@x.example"),
            (r#""plain"@x.example"#, "plain@x.example", "plain@x.example"),
            (r#""a b"@x.example"#, r#""a b"@x.example"#, r#""a b"@x.example"#),
            (r#""a@b"@x.example"#, r#""a@b"@x.example"#, r#""a@b"@x.example"#),
            (r#""q\"\\\z"@x.example"#, r#""q\"\\z"@x.example"#, r#""q\"\\z"@x.example"#),
            (r#""a..b"@x.example"#, r#""a..b"@x.example"#, r#""a..b"@x.example"#),
            ("u@ab--cd.example", "u@ab--cd.example", "u@ab--cd.example"),
            ("u@[192.0.2.1]", "u@[192.0.2.1]", "u@[192.0.2.1]"),
            ("u@[ipv6:2001:DB8:0::1]", "u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"),
        ] {
            let parsed = address(text);
            assert_eq!(parsed.to_string(), people, "{text}");
            assert_eq!(parsed.to_smtp(), smtp, "{text}");
            assert_eq!(address(people), parsed, "{text}");
            assert_eq!(address(smtp), parsed, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        let long = |n| "a".repeat(n);
        for (text, error) in [
            (String::new(), AddressError::Empty),
            (" a@x.example".into(), AddressError::Surrounded),
            ("a@x.example\r\n".into(), AddressError::Surrounded),
            ("<a@x.example>".into(), AddressError::NotBare),
            ("Ann <a@x.example>".into(), AddressError::NotBare),
            ("a.x.example".into(), AddressError::NoAt),
            (r#""a@x.example""#.into(), AddressError::NoAt),
            ("a@b@x.example".into(), AddressError::ManyAts),
            ("@x.example".into(), AddressError::EmptyLocalpart),
            (r#"""@x.example"#.into(), AddressError::EmptyLocalpart),
            (format!("{}@x.example", long(65)), AddressError::LocalpartTooLong),
            (format!("\"{}\"@x.example", long(65)), AddressError::LocalpartTooLong),
            (format!("{}@x.example", "ü".repeat(33)), AddressError::LocalpartTooLong),
            (".a@x.example".into(), AddressError::LocalpartDots),
            ("a.@x.example".into(), AddressError::LocalpartDots),
            ("a..b@x.example".into(), AddressError::LocalpartDots),
            ("a b@x.example".into(), AddressError::LocalpartCharacter(' ')),
            ("a(c)@x.example".into(), AddressError::LocalpartCharacter('(')),
            ("a\"b\"@x.example".into(), AddressError::LocalpartCharacter('"')),
            ("a\r\nb@x.example".into(), AddressError::Control),
            ("\"a\r\nb\"@x.example".into(), AddressError::Control),
            ("a\u{85}b@x.example".into(), AddressError::Control),
            (r#""a"b@x.example"#.into(), AddressError::Quotes),
            (r#""a@x.example"#.into(), AddressError::Quotes),
            (r#""a\"#.into(), AddressError::Quotes),
            ("a@".into(), AddressError::EmptyDomain),
            ("a@x.example.".into(), AddressError::TrailingDot),
            ("a@.example".into(), AddressError::EmptyLabel),
            ("a@x..example".into(), AddressError::EmptyLabel),
            ("a@x_y.example".into(), AddressError::DomainCharacter('_')),
            ("a@x .example".into(), AddressError::DomainCharacter(' ')),
            ("a@x\r\n.example".into(), AddressError::DomainCharacter('\r')),
            (format!("a@{}.example", long(64)), AddressError::DomainTooLong),
            (format!("a@{}example", "abc.".repeat(70)), AddressError::DomainTooLong),
            (format!("a@{}", long(1100)), AddressError::DomainTooLong),
            ("a@192.0.2.1".into(), AddressError::NumericDomain),
            ("a@[192.0.2.256]".into(), AddressError::Literal),
            ("a@[192.0.2.1".into(), AddressError::Literal),
            ("a@[2001:db8::1]".into(), AddressError::Literal),
            ("a@[üüü]".into(), AddressError::Literal),
            ("a@-x.example".into(), AddressError::Idna),
            ("a@x-.example".into(), AddressError::Idna),
            ("a@xn--zzzzzzzzzzzzzzz.example".into(), AddressError::Idna),
            ("a@x\u{202e}y.example".into(), AddressError::Idna),
            ("a@x。".into(), AddressError::Idna),
            (format!("{}@{}example", long(60), "abc.".repeat(47)), AddressError::TooLong),
            (long(5000), AddressError::TooLong),
        ] {
            assert_eq!(Address::parse(&text), Err(error), "{text}");
            assert!(error.to_string().len() < 100, "{error}");
        }
    }

    #[test]
    fn an_address_of_the_longest_length_is_accepted() {
        let text = format!("{}@{}examp.example", "a".repeat(64), "abc.".repeat(44));
        assert_eq!(text.len(), 254);
        assert_eq!(address(&text).to_smtp(), text);
    }

    #[test]
    fn equality_folds_the_case_of_the_domain_only() {
        assert_eq!(address("a@BÜCHER.example"), address("a@XN--BCHER-KVA.Example"));
        assert_ne!(address("A@x.example"), address("a@x.example"));
    }

    #[test]
    fn only_a_localpart_beyond_ascii_needs_smtputf8() {
        assert!(address("jürgen@x.example").needs_smtputf8());
        assert!(!address("u@bücher.example").needs_smtputf8());
    }

    #[test]
    fn a_literal_gives_its_ip_address() {
        assert_eq!(address("u@[192.0.2.1]").domain().literal(), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
        assert_eq!(address("u@[IPv6:::1]").domain().literal(), Some(Ipv6Addr::LOCALHOST.into()));
        assert!(address("u@[IPv6:::1]").domain().is_literal());
        assert_eq!(address("u@x.example").domain().literal(), None);
        assert!(!address("u@x.example").domain().is_literal());
    }

    #[test]
    fn a_suffix_is_added_and_split_off_at_the_separator() {
        let base = address("rider@x.example");
        let with = base.with_separator_suffix('+', "id").unwrap();
        assert_eq!(with.to_string(), "rider+id@x.example");
        assert_eq!(with.split_at_separator('+'), (base.clone(), Some("id")));
        assert_eq!(base.split_at_separator('+'), (base.clone(), None));
        assert_eq!(
            base.with_separator_suffix('+', &"x".repeat(59)).unwrap_err(),
            AddressError::LocalpartTooLong
        );
        assert_eq!(base.with_separator_suffix('+', "\r\n"), Err(AddressError::Control));
        for (text, base, suffix) in [
            ("a+b+c@x.example", "a@x.example", Some("b+c")),
            ("a+@x.example", "a@x.example", Some("")),
            ("+a@x.example", "+a@x.example", None),
            (r#""a.+b"@x.example"#, r#""a."@x.example"#, Some("b")),
        ] {
            assert_eq!(address(text).split_at_separator('+'), (address(base), suffix), "{text}");
        }
    }

    #[test]
    fn the_null_reverse_path_is_written_as_nothing() {
        assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));
        assert_eq!(ReversePath::parse("<>"), Ok(ReversePath::Null));
        assert_eq!(ReversePath::Null.to_string(), "");
        assert_eq!(ReversePath::Null.to_smtp(), "");
        let path = ReversePath::parse("a@bücher.example").unwrap();
        assert_eq!(path.to_smtp(), "a@xn--bcher-kva.example");
        assert_eq!(path.address(), Some(&address("a@bücher.example")));
        assert!(!path.is_null());
        assert_eq!(ReversePath::parse("a"), Err(AddressError::NoAt));
    }

    #[test]
    fn addresses_are_serialised_as_strings_and_checked_when_read() {
        let path = ReversePath::from(address("u@xn--bcher-kva.example"));
        assert_eq!(serde_json::to_string(&path).unwrap(), r#""u@bücher.example""#);
        for path in [path, ReversePath::Null] {
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<ReversePath>(&json).unwrap(), path);
            let stored = postcard::to_stdvec(&path).unwrap();
            assert_eq!(postcard::from_bytes::<ReversePath>(&stored).unwrap(), path);
        }
        let domain = Domain::parse("bücher.example").unwrap();
        assert_eq!(serde_json::to_string(&domain).unwrap(), r#""xn--bcher-kva.example""#);
        assert_eq!(serde_json::from_str::<Domain>(r#""Bücher.example""#).unwrap(), domain);
        let error = serde_json::from_str::<Address>(r#""u""#).unwrap_err();
        assert!(error.to_string().starts_with("the address has no @"), "{error}");
    }

    proptest! {
        #[test]
        fn any_localpart_survives_both_forms(
            localpart in "[ -~ü例]{1,16}",
            domain in prop::sample::select(vec!["x.example", "bücher.example", "[192.0.2.1]", "[IPv6:::1]"]),
        ) {
            let made = Address::new(Localpart::from_decoded(&localpart)?, Domain::parse(domain)?)?;
            prop_assert_eq!(&Address::parse(&made.to_string())?, &made);
            prop_assert_eq!(&Address::parse(&made.to_smtp())?, &made);
        }

        #[test]
        fn whatever_parses_reads_back_from_both_forms(text in r#"[a-zA-Z0-9ßİüé"\\.+@ -]{1,12}@[a-zA-Z0-9ßİüéא。.-]{1,12}"#) {
            if let Ok(parsed) = Address::parse(&text) {
                prop_assert_eq!(&Address::parse(&parsed.to_string())?, &parsed);
                prop_assert_eq!(&Address::parse(&parsed.to_smtp())?, &parsed);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Address::parse(&text);
            let _ = Domain::parse(&text);
            let _ = Localpart::parse(&text);
        }
    }
}

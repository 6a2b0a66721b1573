//! Commands as a server reads them (RFC 5321 section 4.1 and the extensions' parameters).

use std::fmt;

use crate::params::{Body, Hold, MAX_ENVID, Notify, OriginalRecipient, Ret};
use crate::path::{is_bare_postmaster, split_path};
use crate::reply::Reply;
use crate::xtext::decode_xtext;

/// Octets of a client's name in EHLO or HELO.
const MAX_NAME: usize = 255;
/// Octets of an AUTH parameter of MAIL as sent (RFC 4954 section 3 allows 500 more for the whole parameter).
const MAX_AUTH_PARAMETER: usize = 500;

/// One command line, understood. Whether it may come now is the session's business.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// EHLO with the client's name, which may be any word: many clients have no proper one.
    Ehlo(String),
    /// HELO with the client's name.
    Helo(String),
    /// MAIL FROM.
    Mail(MailCommand),
    /// RCPT TO.
    Rcpt(RcptCommand),
    /// DATA.
    Data,
    /// BDAT (RFC 3030): so many octets follow.
    Bdat {
        /// Octets of this chunk.
        size: u64,
        /// Whether it is the last one.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP, with or without an argument.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY with what to verify.
    Vrfy(String),
    /// EXPN with the list to expand.
    Expn(String),
    /// HELP, with or without an argument.
    Help,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954).
    Auth {
        /// The mechanism in capital letters.
        mechanism: String,
        /// The initial response as sent, base64 or `=`. A secret.
        initial: Option<String>,
    },
}

/// MAIL FROM with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MailCommand {
    /// The mailbox as spelled, without brackets and source route; empty is the null return path.
    pub from: String,
    /// SIZE in octets (RFC 1870).
    pub size: Option<u64>,
    /// BODY.
    pub body: Option<Body>,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// RET.
    pub ret: Option<Ret>,
    /// ENVID, decoded.
    pub envid: Option<String>,
    /// AUTH, decoded: who submitted the message first, or `<>` (RFC 4954 section 5).
    pub auth: Option<String>,
    /// HOLDFOR or HOLDUNTIL.
    pub hold: Option<Hold>,
}

/// RCPT TO with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RcptCommand {
    /// The mailbox as spelled, without brackets and source route. `postmaster`, in any case, may lack a domain.
    pub path: String,
    /// NOTIFY.
    pub notify: Option<Notify>,
    /// ORCPT.
    pub orcpt: Option<OriginalRecipient>,
}

/// Why a line is no command that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("Command not recognized")]
    Unrecognized,
    /// Not UTF-8, or with control characters.
    #[error("Malformed command line")]
    Malformed,
    /// An argument is missing, superfluous or malformed; the text says what is wanted.
    #[error("Syntax: {0}")]
    Argument(&'static str),
    /// The argument of BDAT is malformed, so that nobody knows how many octets follow: end the session.
    #[error("Syntax: BDAT size [LAST]")]
    Chunk,
    /// The address in MAIL is malformed.
    #[error("Bad sender address syntax")]
    Sender,
    /// The address in RCPT is malformed.
    #[error("Bad recipient address syntax")]
    Recipient,
    /// A parameter that is not known.
    #[error("Parameter {0} not recognized")]
    UnknownParameter(String),
}

impl Command {
    /// Reads a line without its CR LF. Keywords count in any case; spaces at the end do not.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = std::str::from_utf8(line).map_err(|_| CommandError::Malformed)?;
        if line.chars().any(char::is_control) {
            return Err(CommandError::Malformed);
        }
        let line = line.trim_end_matches(' ');
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let verb: [u8; 8] = short_upper(verb).ok_or(CommandError::Unrecognized)?;
        match verb.trim_ascii_end() {
            b"EHLO" => Ok(Self::Ehlo(client_name(argument, "EHLO name")?)),
            b"HELO" => Ok(Self::Helo(client_name(argument, "HELO name")?)),
            b"MAIL" => mail(argument).map(Self::Mail),
            b"RCPT" => rcpt(argument).map(Self::Rcpt),
            b"DATA" => alone(argument, Self::Data, "DATA"),
            b"BDAT" => bdat(argument).ok_or(CommandError::Chunk),
            b"RSET" => alone(argument, Self::Rset, "RSET"),
            b"NOOP" => Ok(Self::Noop),
            b"QUIT" => alone(argument, Self::Quit, "QUIT"),
            b"VRFY" => something(argument, "VRFY string").map(Self::Vrfy),
            b"EXPN" => something(argument, "EXPN string").map(Self::Expn),
            b"HELP" => Ok(Self::Help),
            b"STARTTLS" => alone(argument, Self::StartTls, "STARTTLS"),
            b"AUTH" => auth(argument).ok_or(CommandError::Argument("AUTH mechanism [initial-response]")),
            _ => Err(CommandError::Unrecognized),
        }
    }
}

impl fmt::Debug for Command {
    /// Without the secret of AUTH.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ehlo(name) => f.debug_tuple("Ehlo").field(name).finish(),
            Self::Helo(name) => f.debug_tuple("Helo").field(name).finish(),
            Self::Mail(mail) => mail.fmt(f),
            Self::Rcpt(rcpt) => rcpt.fmt(f),
            Self::Data => f.write_str("Data"),
            Self::Bdat { size, last } => {
                f.debug_struct("Bdat").field("size", size).field("last", last).finish()
            }
            Self::Rset => f.write_str("Rset"),
            Self::Noop => f.write_str("Noop"),
            Self::Quit => f.write_str("Quit"),
            Self::Vrfy(what) => f.debug_tuple("Vrfy").field(what).finish(),
            Self::Expn(what) => f.debug_tuple("Expn").field(what).finish(),
            Self::Help => f.write_str("Help"),
            Self::StartTls => f.write_str("StartTls"),
            Self::Auth { mechanism, .. } => {
                f.debug_struct("Auth").field("mechanism", mechanism).finish_non_exhaustive()
            }
        }
    }
}

impl CommandError {
    /// The answer to such a line.
    pub fn reply(&self) -> Reply {
        let (code, subject, detail) = match self {
            Self::Unrecognized => (500, 5, 1),
            Self::Malformed => (500, 5, 2),
            Self::Argument(_) | Self::Chunk => (501, 5, 4),
            Self::Sender => (501, 1, 7),
            Self::Recipient => (501, 1, 3),
            Self::UnknownParameter(_) => (555, 5, 4),
        };
        Reply::with_enhanced(code, subject, detail, &self.to_string())
    }
}

/// The word in capital letters, filled up with spaces; `None` when it is longer than any command.
fn short_upper(word: &str) -> Option<[u8; 8]> {
    let mut upper = [b' '; 8];
    upper.get_mut(..word.len())?.copy_from_slice(word.as_bytes());
    upper.make_ascii_uppercase();
    Some(upper)
}

fn client_name(argument: &str, usage: &'static str) -> Result<String, CommandError> {
    let fits = (1..=MAX_NAME).contains(&argument.len()) && !argument.contains(' ');
    if fits { Ok(argument.to_owned()) } else { Err(CommandError::Argument(usage)) }
}

fn alone(argument: &str, command: Command, usage: &'static str) -> Result<Command, CommandError> {
    if argument.is_empty() { Ok(command) } else { Err(CommandError::Argument(usage)) }
}

fn something(argument: &str, usage: &'static str) -> Result<String, CommandError> {
    if argument.is_empty() { Err(CommandError::Argument(usage)) } else { Ok(argument.to_owned()) }
}

fn bdat(argument: &str) -> Option<Command> {
    let (size, last) = match argument.split_once(' ') {
        None => (argument, false),
        Some((size, word)) if word.eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return None,
    };
    decimal(size).map(|size| Command::Bdat { size, last })
}

fn auth(argument: &str) -> Option<Command> {
    let (mechanism, initial) = match argument.split_once(' ') {
        None => (argument, None),
        Some((mechanism, initial)) => (mechanism, Some(initial)),
    };
    let name_fits = (1..=20).contains(&mechanism.len())
        && mechanism.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let initial_fits = initial.is_none_or(|text| !text.contains(' ') && text.is_ascii());
    (name_fits && initial_fits).then(|| Command::Auth {
        mechanism: mechanism.to_ascii_uppercase(),
        initial: initial.map(str::to_owned),
    })
}

fn mail(argument: &str) -> Result<MailCommand, CommandError> {
    let usage = CommandError::Argument("MAIL FROM:<address> [parameters]");
    let rest = strip_prefix_ignoring_case(argument, "FROM:").ok_or(usage)?;
    let (from, rest) =
        split_path(rest).filter(|(from, _)| !is_bare_postmaster(from)).ok_or(CommandError::Sender)?;
    let mut mail = MailCommand { from: from.to_owned(), ..MailCommand::default() };
    for parameter in parameters(rest)? {
        let (name, value) = parameter?;
        mail_parameter(&mut mail, name, value)?;
    }
    Ok(mail)
}

fn mail_parameter(mail: &mut MailCommand, name: &str, value: Option<&str>) -> Result<(), CommandError> {
    let upper = name.to_ascii_uppercase();
    match (upper.as_str(), value) {
        ("SIZE", Some(value)) => once(&mut mail.size, decimal(value), "SIZE=octets, once"),
        ("BODY", Some(value)) => once(&mut mail.body, Body::parse(value), "BODY=7BIT or BODY=8BITMIME, once"),
        ("SMTPUTF8", None) => flag(&mut mail.smtputf8, "SMTPUTF8, once"),
        ("REQUIRETLS", None) => flag(&mut mail.require_tls, "REQUIRETLS, once"),
        ("RET", Some(value)) => once(&mut mail.ret, Ret::parse(value), "RET=FULL or RET=HDRS, once"),
        ("ENVID", Some(value)) => {
            let envid = decode_xtext(value).filter(|_| (1..=MAX_ENVID).contains(&value.len()));
            once(&mut mail.envid, envid, "ENVID=xtext of at most 100 octets, once")
        }
        ("AUTH", Some(value)) => {
            let auth = decode_xtext(value).filter(|_| (1..=MAX_AUTH_PARAMETER).contains(&value.len()));
            once(&mut mail.auth, auth, "AUTH=<> or AUTH=xtext, once")
        }
        ("HOLDFOR", Some(value)) => once(&mut mail.hold, Hold::parse_for(value), "HOLDFOR=seconds, once"),
        ("HOLDUNTIL", Some(value)) => {
            once(&mut mail.hold, Hold::parse_until(value), "HOLDUNTIL=RFC 3339 time, once")
        }
        ("SIZE" | "BODY" | "RET" | "ENVID" | "AUTH" | "HOLDFOR" | "HOLDUNTIL", None) => {
            Err(CommandError::Argument("this parameter needs a value"))
        }
        ("SMTPUTF8" | "REQUIRETLS", Some(_)) => Err(CommandError::Argument("this parameter takes no value")),
        _ => Err(CommandError::UnknownParameter(upper)),
    }
}

fn rcpt(argument: &str) -> Result<RcptCommand, CommandError> {
    let usage = CommandError::Argument("RCPT TO:<address> [parameters]");
    let rest = strip_prefix_ignoring_case(argument, "TO:").ok_or(usage)?;
    let (path, rest) =
        split_path(rest).filter(|(path, _)| !path.is_empty()).ok_or(CommandError::Recipient)?;
    let mut rcpt = RcptCommand { path: path.to_owned(), ..RcptCommand::default() };
    for parameter in parameters(rest)? {
        let (name, value) = parameter?;
        let upper = name.to_ascii_uppercase();
        match (upper.as_str(), value) {
            ("NOTIFY", Some(value)) => {
                once(&mut rcpt.notify, Notify::parse(value), "NOTIFY=NEVER or SUCCESS,FAILURE,DELAY, once")
            }
            ("ORCPT", Some(value)) => {
                once(&mut rcpt.orcpt, OriginalRecipient::parse(value), "ORCPT=type;address, once")
            }
            ("NOTIFY" | "ORCPT", None) => Err(CommandError::Argument("this parameter needs a value")),
            _ => Err(CommandError::UnknownParameter(upper)),
        }?;
    }
    Ok(rcpt)
}

type Parameter<'a> = Result<(&'a str, Option<&'a str>), CommandError>;

/// The parameters behind a path: nothing, or each after one space (RFC 5321 section 4.1.2).
fn parameters(rest: &str) -> Result<impl Iterator<Item = Parameter<'_>>, CommandError> {
    let malformed =
        || CommandError::Argument("parameters are KEYWORD or KEYWORD=value, after one space each");
    let list = match rest.strip_prefix(' ') {
        Some(list) => Some(list),
        None if rest.is_empty() => None,
        None => return Err(malformed()),
    };
    Ok(list.into_iter().flat_map(|list| list.split(' ')).map(move |word| {
        let (name, value) = match word.split_once('=') {
            None => (word, None),
            Some((name, value)) => (name, Some(value)),
        };
        let name_fits = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value_fits = value.is_none_or(|value| !value.is_empty() && !value.contains('='));
        if name_fits && value_fits { Ok((name, value)) } else { Err(malformed()) }
    }))
}

fn once<T>(slot: &mut Option<T>, value: Option<T>, usage: &'static str) -> Result<(), CommandError> {
    match (&slot, value) {
        (None, Some(value)) => {
            *slot = Some(value);
            Ok(())
        }
        _ => Err(CommandError::Argument(usage)),
    }
}

fn flag(slot: &mut bool, usage: &'static str) -> Result<(), CommandError> {
    if std::mem::replace(slot, true) { Err(CommandError::Argument(usage)) } else { Ok(()) }
}

/// A decimal number of up to 20 digits (RFC 1870 section 3).
pub(crate) fn decimal(digits: &str) -> Option<u64> {
    let plain = (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(from: &str) -> MailCommand {
        MailCommand { from: from.into(), ..MailCommand::default() }
    }

    #[test]
    fn a_command_is_read_in_any_case() {
        let to = |path: &str| RcptCommand { path: path.into(), ..RcptCommand::default() };
        let table: Vec<(&str, Command)> = vec![
            ("EHLO mail.example.org", Command::Ehlo("mail.example.org".into())),
            ("helo [192.0.2.1]", Command::Helo("[192.0.2.1]".into())),
            ("MAIL FROM:<>", Command::Mail(from(""))),
            ("mail from:<a@example.org>  ", Command::Mail(from("a@example.org"))),
            (
                "MAIL FROM:<a@example.org> size=10 BODY=8bitmime SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+2Bb AUTH=<> HOLDFOR=60",
                Command::Mail(MailCommand {
                    from: "a@example.org".into(),
                    size: Some(10),
                    body: Some(Body::EightBitMime),
                    smtputf8: true,
                    require_tls: true,
                    ret: Some(Ret::Headers),
                    envid: Some("a+b".into()),
                    auth: Some("<>".into()),
                    hold: Some(Hold::For(60)),
                }),
            ),
            (
                "MAIL FROM:<> HOLDUNTIL=1970-01-02T00:00:00Z",
                Command::Mail(MailCommand { hold: Some(Hold::Until(86_400)), ..from("") }),
            ),
            ("RCPT TO:<@x.example:\"a b\"@example.org>", Command::Rcpt(to("\"a b\"@example.org"))),
            ("RCPT TO:<POSTMASTER>", Command::Rcpt(to("POSTMASTER"))),
            (
                "RCPT TO:<a@[IPv6:::1]> NOTIFY=NEVER ORCPT=rfc822;b@example.org",
                Command::Rcpt(RcptCommand {
                    path: "a@[IPv6:::1]".into(),
                    notify: Some(Notify::Never),
                    orcpt: Some(OriginalRecipient {
                        address_type: "rfc822".into(),
                        address: "b@example.org".into(),
                    }),
                }),
            ),
            ("DATA", Command::Data),
            ("BDAT 12", Command::Bdat { size: 12, last: false }),
            ("bdat 0 last", Command::Bdat { size: 0, last: true }),
            ("RSET ", Command::Rset),
            ("NOOP anything", Command::Noop),
            ("QUIT", Command::Quit),
            ("VRFY a b", Command::Vrfy("a b".into())),
            ("EXPN list", Command::Expn("list".into())),
            ("HELP", Command::Help),
            ("StartTLS", Command::StartTls),
            (
                "AUTH plain AGEAYg==",
                Command::Auth { mechanism: "PLAIN".into(), initial: Some("AGEAYg==".into()) },
            ),
        ];
        for (line, command) in table {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_decides_the_answer() {
        let table: &[(&[u8], &str)] = &[
            (b"", "500 5.5.1"),
            (b"FROBNICATE", "500 5.5.1"),
            (b" NOOP", "500 5.5.1"),
            (b"NO\0OP", "500 5.5.2"),
            (b"NOOP \xff", "500 5.5.2"),
            (b"EHLO", "501 5.5.4"),
            (b"EHLO a b", "501 5.5.4"),
            (b"DATA now", "501 5.5.4"),
            (b"BDAT -1", "501 5.5.4"),
            (b"BDAT 99999999999999999999", "501 5.5.4"),
            (b"VRFY", "501 5.5.4"),
            (b"MAIL <a@example.org>", "501 5.5.4"),
            (b"MAIL FROM: <a@example.org>", "501 5.1.7"),
            (b"MAIL FROM:a@example.org", "501 5.1.7"),
            (b"MAIL FROM:<postmaster>", "501 5.1.7"),
            (b"RCPT TO:<>", "501 5.1.3"),
            (b"RCPT TO:<a>", "501 5.1.3"),
            (b"MAIL FROM:<>SIZE=1", "501 5.5.4"),
            (b"MAIL FROM:<>  SIZE=1", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE=1 SIZE=1", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE=", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE=x", "501 5.5.4"),
            (b"MAIL FROM:<> BODY=9BIT", "501 5.5.4"),
            (b"MAIL FROM:<> SMTPUTF8=1", "501 5.5.4"),
            (b"MAIL FROM:<> HOLDFOR=1 HOLDUNTIL=1970-01-02T00:00:00Z", "501 5.5.4"),
            (b"MAIL FROM:<> X-NEW=1", "555 5.5.4"),
            (b"RCPT TO:<a@example.org> NOTIFY=SOMETIMES", "501 5.5.4"),
            (b"RCPT TO:<a@example.org> SIZE=1", "555 5.5.4"),
        ];
        for (line, expected) in table {
            let error = Command::parse(line).expect_err("an error");
            let reply = error.reply();
            let enhanced = reply.enhanced().map(|e| e.to_string()).unwrap_or_default();
            assert_eq!(
                format!("{} {enhanced}", reply.code()),
                *expected,
                "{:?}",
                line.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn the_secret_of_auth_is_not_shown() {
        let command = Command::parse(b"AUTH PLAIN c2VjcmV0").expect("a command");
        assert_eq!(format!("{command:?}"), "Auth { mechanism: \"PLAIN\", .. }");
    }

    proptest! {
        #[test]
        fn random_lines_never_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::parse(&line);
            let _ = Command::parse(&[b"MAIL FROM:<", &line[..]].concat());
        }

        #[test]
        fn random_text_never_panics(text in "(MAIL FROM:|RCPT TO:)<?\"?\\PC{0,20}@?\\[?\\PC{0,20}>?( \\PC{0,10}=\\PC{0,30}){0,2}") {
            let _ = Command::parse(text.as_bytes());
        }
    }
}

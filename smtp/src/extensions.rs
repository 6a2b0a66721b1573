//! What an EHLO answer offers: read by clients, written by servers.

use bytes::BytesMut;

use crate::command::decimal;
use crate::params::Hold;
use crate::reply::Reply;

/// Mechanisms of AUTH that are remembered.
const MAX_MECHANISMS: usize = 32;

/// The extensions of SMTP that a server offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870).
    pub size: SizeLimit,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
    /// FUTURERELEASE (RFC 4865).
    pub future_release: Option<FutureRelease>,
    /// AUTH (RFC 4954): mechanisms in capital letters.
    pub auth: Vec<String>,
}

/// SIZE: whether and how large messages a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeLimit {
    /// The extension is not offered.
    #[default]
    NotOffered,
    /// Offered, without a fixed limit.
    Unlimited,
    /// At most so many octets.
    Max(u64),
}

/// LIMITS: what of a thing a server takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Messages in one session.
    pub mail_max: Option<u32>,
    /// Recipients of one message.
    pub rcpt_max: Option<u32>,
}

/// FUTURERELEASE: how far into the future a message may be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureRelease {
    /// Seconds from now.
    pub max_interval: u32,
    /// The same as a time, as RFC 3339 spells it, in UTC.
    pub max_date_time: String,
}

impl FutureRelease {
    /// Whether a message may be held for so long. A `max_date_time` that is none bounds nothing.
    pub(crate) fn allows(&self, hold: Hold) -> bool {
        match (hold, Hold::parse_until(&self.max_date_time)) {
            (Hold::For(seconds), _) => seconds <= self.max_interval,
            (Hold::Until(time), Some(Hold::Until(max))) => time <= max,
            (Hold::Until(_), _) => true,
        }
    }
}

impl Extensions {
    /// Reads the answer to EHLO. Its first line is the server's name; unknown and malformed keywords are ignored.
    pub fn parse(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        reply.lines().skip(1).for_each(|line| extensions.take(line));
        extensions
    }

    /// Appends the answer to EHLO, beginning with the name of the server.
    pub fn write(&self, hostname: &str, out: &mut BytesMut) {
        Reply::new(250, &[vec![hostname.to_owned()], self.lines()].concat().join("\n")).write(out);
    }

    fn take(&mut self, line: &str) {
        // Some servers still write AUTH=LOGIN, from before RFC 2554.
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => self.size = size_limit(words.next()),
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "STARTTLS" => self.starttls = true,
            "CHUNKING" => self.chunking = true,
            "DSN" => self.dsn = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "REQUIRETLS" => self.require_tls = true,
            "LIMITS" => self.take_limits(line),
            "FUTURERELEASE" => self.future_release = future_release(words.next(), words.next()),
            "AUTH" => words.for_each(|word| self.take_mechanism(word)),
            _ => {}
        }
    }

    fn take_limits(&mut self, line: &str) {
        for (name, value) in line.split(' ').filter_map(|word| word.split_once('=')) {
            let value = value.parse().ok().filter(|limit| *limit > 0);
            if name.eq_ignore_ascii_case("MAILMAX") {
                self.limits.mail_max = value;
            } else if name.eq_ignore_ascii_case("RCPTMAX") {
                self.limits.rcpt_max = value;
            }
        }
    }

    fn take_mechanism(&mut self, word: &str) {
        let mechanism = word.to_ascii_uppercase();
        if self.auth.len() < MAX_MECHANISMS && mechanism.len() <= 20 && !self.auth.contains(&mechanism) {
            self.auth.push(mechanism);
        }
    }

    fn lines(&self) -> Vec<String> {
        let flags = [
            (self.pipelining, "PIPELINING"),
            (self.eight_bit_mime, "8BITMIME"),
            (self.smtputf8, "SMTPUTF8"),
            (self.starttls, "STARTTLS"),
            (self.chunking, "CHUNKING"),
            (self.dsn, "DSN"),
            (self.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            (self.require_tls, "REQUIRETLS"),
        ];
        let mut lines: Vec<String> =
            flags.iter().filter(|(offered, _)| *offered).map(|(_, name)| (*name).to_owned()).collect();
        match self.size {
            SizeLimit::NotOffered => {}
            SizeLimit::Unlimited => lines.push("SIZE 0".to_owned()),
            SizeLimit::Max(octets) => lines.push(format!("SIZE {octets}")),
        }
        let limits = [("MAILMAX", self.limits.mail_max), ("RCPTMAX", self.limits.rcpt_max)];
        let limits: String =
            limits.iter().filter_map(|(name, max)| max.map(|max| format!(" {name}={max}"))).collect();
        if !limits.is_empty() {
            lines.push(format!("LIMITS{limits}"));
        }
        if let Some(release) = &self.future_release {
            lines.push(format!("FUTURERELEASE {} {}", release.max_interval, release.max_date_time));
        }
        if !self.auth.is_empty() {
            lines.push(format!("AUTH {}", self.auth.join(" ")));
        }
        lines
    }
}

/// No number, and zero, mean that there is no fixed limit (RFC 1870 section 4).
fn size_limit(word: Option<&str>) -> SizeLimit {
    match word.and_then(decimal) {
        None | Some(0) => SizeLimit::Unlimited,
        Some(octets) => SizeLimit::Max(octets),
    }
}

fn future_release(interval: Option<&str>, date_time: Option<&str>) -> Option<FutureRelease> {
    let max_interval = interval?.parse().ok()?;
    Some(FutureRelease { max_interval, max_date_time: date_time?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ReplyParser;

    fn parse(wire: &[u8]) -> Extensions {
        let mut parser = ReplyParser::new();
        parser.push(wire);
        Extensions::parse(&parser.next_reply().expect("SMTP").expect("a reply"))
    }

    #[test]
    fn an_answer_to_ehlo_is_read() {
        let offered = parse(
            b"250-PIPELINING greets you\r\n250-size 1000\r\n250-8BITMIME\r\n250-X-OTHER\r\n250-DSN\r\n\
              250-LIMITS RCPTMAX=20 MAILMAX=x OTHER=1\r\n250-AUTH=LOGIN\r\n250 AUTH plain LOGIN\r\n",
        );
        let expected = Extensions {
            size: SizeLimit::Max(1_000),
            eight_bit_mime: true,
            dsn: true,
            limits: Limits { mail_max: None, rcpt_max: Some(20) },
            auth: vec!["LOGIN".into(), "PLAIN".into()],
            ..Extensions::default()
        };
        assert_eq!(offered, expected);
        for (line, size) in
            [("SIZE", SizeLimit::Unlimited), ("SIZE 0", SizeLimit::Unlimited), ("X", SizeLimit::NotOffered)]
        {
            assert_eq!(parse(format!("250-x\r\n250 {line}\r\n").as_bytes()).size, size, "{line}");
        }
    }

    #[test]
    fn what_is_offered_is_read_as_it_was_written() {
        let all = Extensions {
            pipelining: true,
            size: SizeLimit::Max(99),
            eight_bit_mime: true,
            smtputf8: true,
            starttls: true,
            chunking: true,
            dsn: true,
            enhanced_status_codes: true,
            require_tls: true,
            limits: Limits { mail_max: Some(5), rcpt_max: Some(100) },
            future_release: Some(FutureRelease {
                max_interval: 60,
                max_date_time: "2026-11-22T00:00:00Z".into(),
            }),
            auth: vec!["PLAIN".into()],
        };
        for extensions in [all, Extensions::default()] {
            let mut out = BytesMut::new();
            extensions.write("mx.example.org", &mut out);
            assert!(out.starts_with(b"250"));
            assert_eq!(parse(&out), extensions);
        }
    }
}

//! The trace fields that a message gets on arrival (RFC 5321 section 4.4).

use mail::{Address, Domain, ReversePath, Timestamp, address_literal};
use smtp::Peer;
use std::{fmt::Write as _, net::IpAddr};

/// What stands in the fields.
pub(super) struct Trace<'a> {
    /// MAIL FROM.
    pub(super) mail_from: &'a ReversePath,
    /// The only recipient; none when there are several, who must not learn of each other.
    pub(super) recipient: Option<&'a Address>,
    /// Who the client says it is.
    pub(super) peer: Option<&'a Peer>,
    /// Where it really is.
    pub(super) remote: IpAddr,
    /// Whether the connection is secured.
    pub(super) secure: bool,
    /// Whether MAIL said SMTPUTF8.
    pub(super) smtputf8: bool,
    /// Who we are.
    pub(super) hostname: &'a Domain,
    /// The id of this arrival.
    pub(super) id: &'a str,
    /// When.
    pub(super) now: Timestamp,
    /// The `Authentication-Results` field, with its line ends.
    pub(super) results: &'a str,
}

impl Trace<'_> {
    /// `Return-Path`, `Authentication-Results` and `Received`, with their line ends.
    pub(super) fn fields(&self) -> String {
        let mut fields = String::with_capacity(512);
        let literal = address_literal(self.remote);
        let result = write!(
            fields,
            "Return-Path: <{}>\r\n{}Received: from {} ({literal})\r\n\tby {} with {} id {}",
            self.mail_from.to_smtp(),
            self.results,
            self.client_name().unwrap_or_else(|| literal.clone()),
            self.hostname.as_ascii(),
            self.protocol(),
            self.id,
        );
        result.expect("writing to a String does not fail");
        if let Some(recipient) = self.recipient {
            fields.push_str("\r\n\tfor <");
            recipient.write_smtp(&mut fields).expect("writing to a String does not fail");
            fields.push('>');
        }
        fields.push_str(";\r\n\t");
        fields.push_str(&self.now.to_rfc5322());
        fields.push_str("\r\n");
        fields
    }

    /// The name in EHLO, when it is harmless in a structured field: a name, underscores allowed, or an address literal.
    fn client_name(&self) -> Option<String> {
        let name = &self.peer?.name;
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
            return Some(name.clone());
        }
        Domain::parse(name).ok().map(|domain| domain.as_ascii().to_owned())
    }

    /// RFC 3848 and RFC 6531 section 4.3.
    fn protocol(&self) -> &'static str {
        let extended = self.peer.is_some_and(|peer| peer.extended);
        match (self.smtputf8, extended, self.secure) {
            (true, _, false) => "UTF8SMTP",
            (true, _, true) => "UTF8SMTPS",
            (false, true, false) => "ESMTP",
            (false, true, true) => "ESMTPS",
            (false, false, _) => "SMTP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static SENDER: LazyLock<ReversePath> =
        LazyLock::new(|| ReversePath::parse("sender@example.org").unwrap());
    static HOSTNAME: LazyLock<Domain> = LazyLock::new(|| Domain::parse("mx.example").unwrap());

    fn fields<'a>(change: impl FnOnce(&mut Trace<'a>)) -> String {
        let mut trace = Trace {
            mail_from: &SENDER,
            recipient: None,
            peer: None,
            remote: "192.0.2.1".parse().unwrap(),
            secure: false,
            smtputf8: false,
            hostname: &HOSTNAME,
            id: "abc",
            now: Timestamp::from_millis(1_763_805_600_500),
            results: "",
        };
        change(&mut trace);
        trace.fields()
    }

    fn peer(name: &str, extended: bool) -> Peer {
        Peer { name: name.into(), extended }
    }

    #[test]
    fn an_arrival_is_traced() {
        let recipient = Address::parse("rider@localhost").unwrap();
        let client = peer("client.example", true);
        let said = fields(|trace| {
            trace.recipient = Some(&recipient);
            trace.peer = Some(&client);
            trace.results = "Authentication-Results: mx.example; none\r\n";
        });
        let expected = "Return-Path: <sender@example.org>\r\n\
            Authentication-Results: mx.example; none\r\n\
            Received: from client.example ([192.0.2.1])\r\n\
            \tby mx.example with ESMTP id abc\r\n\
            \tfor <rider@localhost>;\r\n\
            \tSat, 22 Nov 2025 10:00:00 +0000\r\n";
        assert_eq!(said, expected);
    }

    #[test]
    fn the_null_path_and_ipv6_have_their_forms() {
        let said = fields(|trace| {
            trace.mail_from = &ReversePath::Null;
            trace.remote = "2001:db8::1".parse().unwrap();
        });
        assert!(
            said.starts_with("Return-Path: <>\r\nReceived: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n")
        );
    }

    #[test]
    fn the_protocol_says_what_was_used() {
        for (extended, smtputf8, secure, expected) in [
            (false, false, false, " with SMTP id"),
            (true, false, false, " with ESMTP id"),
            (true, false, true, " with ESMTPS id"),
            (true, true, false, " with UTF8SMTP id"),
            (true, true, true, " with UTF8SMTPS id"),
        ] {
            let client = peer("c", extended);
            let said = fields(|trace| {
                trace.peer = Some(&client);
                (trace.smtputf8, trace.secure) = (smtputf8, secure);
            });
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_name_that_could_break_the_field_gives_way_to_the_address() {
        for (name, expected) in [
            ("a_host.example", "from a_host.example ("),
            ("[127.0.0.1]", "from [127.0.0.1] ("),
            ("bücher.example", "from xn--bcher-kva.example ("),
            ("x;y", "from [192.0.2.1] ("),
            ("x(y", "from [192.0.2.1] ("),
        ] {
            let client = peer(name, true);
            let said = fields(|trace| trace.peer = Some(&client));
            assert!(said.contains(expected), "{name}: {said}");
        }
    }
}

//! The `Received` field that a message gets which comes over SMTP (RFC 5321 section 4.4).

use mail::{Address, Domain, Timestamp, address_literal};
use smtp::Peer;
use std::{fmt::Write as _, net::IpAddr};

/// What stands in the field.
pub(crate) struct ReceivedField<'a> {
    /// The only recipient; none when there are several, who must not learn of each other.
    pub(crate) recipient: Option<&'a Address>,
    /// Who the client says it is.
    pub(crate) peer: Option<&'a Peer>,
    /// Where it really is.
    pub(crate) remote: IpAddr,
    /// Whether the connection is secured.
    pub(crate) secure: bool,
    /// Whether the client proved who it is.
    pub(crate) authenticated: bool,
    /// Whether MAIL said SMTPUTF8.
    pub(crate) smtputf8: bool,
    /// Who we are.
    pub(crate) hostname: &'a Domain,
    /// The id of this arrival.
    pub(crate) id: &'a str,
    /// When.
    pub(crate) now: Timestamp,
}

impl ReceivedField<'_> {
    /// Appends the field with its line end.
    pub(crate) fn write(&self, out: &mut String) {
        self.try_write(out).expect("writing to a String does not fail");
    }

    fn try_write(&self, out: &mut String) -> std::fmt::Result {
        let literal = address_literal(self.remote);
        let name = self.client_name().unwrap_or_else(|| literal.clone());
        let hostname = self.hostname.as_ascii();
        write!(out, "Received: from {name} ({literal})\r\n\tby {hostname} with ")?;
        self.write_protocol(out);
        write!(out, " id {}", self.id)?;
        if let Some(recipient) = self.recipient {
            out.push_str("\r\n\tfor <");
            recipient.write_smtp(out)?;
            out.push('>');
        }
        write!(out, ";\r\n\t{}\r\n", self.now.to_rfc5322())
    }

    /// The name in EHLO, when it is harmless in a structured field: a name, underscores allowed, or an address literal.
    fn client_name(&self) -> Option<String> {
        let name = &self.peer?.name;
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
            return Some(name.clone());
        }
        Domain::parse(name).ok().map(|domain| domain.as_ascii().to_owned())
    }

    /// RFC 3848 and RFC 6531 section 4.3. Security and proof of identity need EHLO.
    fn write_protocol(&self, out: &mut String) {
        let extended = self.peer.is_some_and(|peer| peer.extended);
        out.push_str(match (self.smtputf8, extended) {
            (true, _) => "UTF8SMTP",
            (false, true) => "ESMTP",
            (false, false) => return out.push_str("SMTP"),
        });
        for (holds, letter) in [(self.secure, 'S'), (self.authenticated, 'A')] {
            out.extend(holds.then_some(letter));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static HOSTNAME: LazyLock<Domain> = LazyLock::new(|| Domain::parse("mx.example").unwrap());

    fn field<'a>(change: impl FnOnce(&mut ReceivedField<'a>)) -> String {
        let mut field = ReceivedField {
            recipient: None,
            peer: None,
            remote: "192.0.2.1".parse().unwrap(),
            secure: false,
            authenticated: false,
            smtputf8: false,
            hostname: &HOSTNAME,
            id: "abc",
            now: Timestamp::from_millis(1_763_805_600_500),
        };
        change(&mut field);
        let mut out = String::new();
        field.write(&mut out);
        out
    }

    fn peer(name: &str, extended: bool) -> Peer {
        Peer { name: name.into(), extended }
    }

    #[test]
    fn the_field_says_from_where_for_whom_and_when() {
        let recipient = Address::parse("rider@localhost").unwrap();
        let client = peer("client.example", true);
        let said = field(|field| {
            field.recipient = Some(&recipient);
            field.peer = Some(&client);
        });
        let expected = "Received: from client.example ([192.0.2.1])\r\n\
            \tby mx.example with ESMTP id abc\r\n\
            \tfor <rider@localhost>;\r\n\
            \tSat, 22 Nov 2025 10:00:00 +0000\r\n";
        assert_eq!(said, expected);
        let said = field(|field| field.remote = "2001:db8::1".parse().unwrap());
        assert!(said.starts_with("Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"), "{said}");
    }

    #[test]
    fn the_protocol_says_what_was_used() {
        for (extended, smtputf8, secure, authenticated, expected) in [
            (false, false, false, false, " with SMTP id"),
            (true, false, false, false, " with ESMTP id"),
            (true, false, true, false, " with ESMTPS id"),
            (true, false, false, true, " with ESMTPA id"),
            (true, false, true, true, " with ESMTPSA id"),
            (true, true, false, false, " with UTF8SMTP id"),
            (true, true, true, false, " with UTF8SMTPS id"),
            (true, true, false, true, " with UTF8SMTPA id"),
            (true, true, true, true, " with UTF8SMTPSA id"),
        ] {
            let client = peer("c", extended);
            let said = field(|field| {
                field.peer = Some(&client);
                (field.smtputf8, field.secure, field.authenticated) = (smtputf8, secure, authenticated);
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
            let said = field(|field| field.peer = Some(&client));
            assert!(said.contains(expected), "{name}: {said}");
        }
    }
}

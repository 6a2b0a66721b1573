//! The trace fields that a message gets on arrival (RFC 5321 section 4.4).

use crate::received_field::ReceivedField;
use mail::{Address, Domain, ReversePath, Timestamp};
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
        let result = write!(fields, "Return-Path: <{}>\r\n{}", self.mail_from.to_smtp(), self.results);
        result.expect("writing to a String does not fail");
        let received = ReceivedField {
            recipient: self.recipient,
            peer: self.peer,
            remote: self.remote,
            secure: self.secure,
            authenticated: false,
            smtputf8: self.smtputf8,
            hostname: self.hostname,
            id: self.id,
            now: self.now,
        };
        received.write(&mut fields);
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_is_traced() {
        let client = Peer { name: "client.example".into(), extended: true };
        for (mail_from, results) in
            [("sender@example.org", "Authentication-Results: mx.example; none\r\n"), ("", "")]
        {
            let trace = Trace {
                mail_from: &ReversePath::parse(mail_from).unwrap(),
                recipient: None,
                peer: Some(&client),
                remote: "192.0.2.1".parse().unwrap(),
                secure: true,
                smtputf8: false,
                hostname: &Domain::parse("mx.example").unwrap(),
                id: "abc",
                now: Timestamp::from_millis(1_763_805_600_500),
                results,
            };
            let expected = format!(
                "Return-Path: <{mail_from}>\r\n{results}Received: from client.example ([192.0.2.1])\r\n\
                 \tby mx.example with ESMTPS id abc;\r\n\tSat, 22 Nov 2025 10:00:00 +0000\r\n"
            );
            assert_eq!(trace.fields(), expected);
        }
    }
}

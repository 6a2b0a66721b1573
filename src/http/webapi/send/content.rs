//! The octets that go out: a trace, signatures, and the composed message.

use super::super::Client;
use crate::{
    http::error::{ApiError, Code},
    sending::signs_slowly,
};
use mail::{Address, Composed, Domain, Draft, Timestamp, address_literal, bcc_header};
use std::{fmt::Write, sync::Arc};
use store::{DirectoryDomain, Store, StoreError, records::ContentRecord};

/// Everything that the content of a message is made of.
pub(super) struct Preparation {
    pub(super) hostname: Domain,
    pub(super) client: Client,
    /// The recipient, when there is just one.
    pub(super) recipient: Option<Address>,
    /// The domain of the From address, with its signers.
    pub(super) domain: Option<Arc<DirectoryDomain>>,
    pub(super) now: Timestamp,
    pub(super) save_sent: bool,
    pub(super) size_max: u64,
    /// Random names for the content and the sender's copy.
    pub(super) names: [[u8; 16]; 2],
}

impl Preparation {
    /// Whether signing alone takes too long for a thread that others wait for.
    pub(super) fn signs_slowly(&self) -> bool {
        signs_slowly(self.domain.as_deref())
    }
}

/// A content that a change can refer to.
pub(super) struct Prepared {
    pub(super) content: ContentRecord,
    pub(super) size: u64,
    pub(super) eight_bit: bool,
    pub(super) smtputf8: bool,
    /// The copy for the sender, when one is wanted.
    pub(super) sent_copy: Option<Result<ContentRecord, StoreError>>,
}

/// Composes, signs and stages a message. Blocks when it is large. Of the octets there is never more than what the
/// draft holds and what becomes of it, and no draft any more when they are written.
pub(super) fn prepare(store: &Store, draft: Draft, preparation: Preparation) -> Result<Prepared, ApiError> {
    let size_max = preparation.size_max;
    check_size(draft.min_size(), size_max)?;
    let composed = draft.compose()?;
    // Before signing, which is of no use for a message that is too large.
    check_size(composed.content().len(), size_max)?;
    let bcc = bcc_header(&draft.bcc);
    drop(draft);
    let fields = fields_in_front(&preparation, &composed)?;
    let (eight_bit, smtputf8) = (composed.eight_bit, composed.smtputf8);
    let bytes = composed.behind(&fields);
    check_size(bytes.len(), size_max)?;
    let [name, copy_name] = preparation.names;
    let size = bytes.len() as u64;
    let content = store.stage(name, bytes.clone())?;
    let sent_copy = preparation.save_sent.then(|| store.stage_behind(copy_name, &bcc, bytes));
    Ok(Prepared { content, size, eight_bit, smtputf8, sent_copy })
}

fn check_size(size: usize, max: u64) -> Result<(), ApiError> {
    if size as u64 <= max {
        return Ok(());
    }
    Err(ApiError::new(Code::MessageTooLarge, format!("the message is larger than {max} bytes")))
}

/// The trace and the signatures.
fn fields_in_front(preparation: &Preparation, composed: &Composed) -> Result<Vec<u8>, ApiError> {
    let mut fields = received(preparation, composed.smtputf8).into_bytes();
    let signers = preparation.domain.as_deref().map(|domain| &*domain.signers).unwrap_or_default();
    for signer in signers {
        fields.extend(signer.sign(composed.content()).map_err(ApiError::server)?);
    }
    Ok(fields)
}

/// The trace of the way in (RFC 5321, 4.4).
fn received(preparation: &Preparation, utf8: bool) -> String {
    let mut out = String::with_capacity(256);
    let result = write_received(&mut out, preparation, utf8);
    result.expect("writing to a String does not fail");
    out
}

fn write_received(out: &mut String, preparation: &Preparation, utf8: bool) -> std::fmt::Result {
    let Preparation { hostname, client, recipient, now, names: [name, _], .. } = preparation;
    out.push_str("Received: ");
    let literal = address_literal(client.address);
    write!(out, "from {literal} ({literal})\r\n\t")?;
    let id = name[..8].iter().fold(0u64, |id, byte| id << 8 | u64::from(*byte));
    let protocol = if client.tls { "HTTPS" } else { "HTTP" };
    write!(out, "by {} via tcp with {protocol} id {id:016x}", hostname.as_ascii())?;
    // In a header without UTF-8 there is no place for such an address.
    if let Some(recipient) = recipient.as_ref().filter(|recipient| utf8 || !recipient.needs_smtputf8()) {
        out.push_str("\r\n\tfor <");
        recipient.write_smtp(out)?;
        out.push('>');
    }
    write!(out, ";\r\n\t{}\r\n", now.to_rfc5322())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preparation(client: Client, recipient: Option<&str>) -> Preparation {
        Preparation {
            hostname: "mail.example".parse().unwrap(),
            client,
            recipient: recipient.map(|text| text.parse().unwrap()),
            domain: None,
            now: Timestamp::from_millis(1_795_341_600_000),
            save_sent: false,
            size_max: 1,
            names: [[0xab; 16]; 2],
        }
    }

    #[test]
    fn the_trace_says_how_the_message_came() {
        let v4 = Client { address: [192, 0, 2, 1].into(), tls: false };
        let v6 = Client { address: "2001:db8::1".parse().unwrap(), tls: true };
        let by = "by mail.example via tcp with HTTP id abababababababab";
        let tls = "by mail.example via tcp with HTTPS id abababababababab";
        let date = ";\r\n\tSun, 22 Nov 2026 10:00:00 +0000\r\n";
        let from = "Received: from [192.0.2.1] ([192.0.2.1])\r\n\t";
        for (client, recipient, utf8, expected) in [
            (v4, None, false, format!("{from}{by}{date}")),
            (v4, Some("\"x y\"@b.example"), false, format!("{from}{by}\r\n\tfor <\"x y\"@b.example>{date}")),
            (v4, Some("é@b.example"), false, format!("{from}{by}{date}")),
            (v4, Some("é@b.example"), true, format!("{from}{by}\r\n\tfor <é@b.example>{date}")),
            (
                v6,
                None,
                false,
                format!("Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\t{tls}{date}"),
            ),
        ] {
            assert_eq!(received(&preparation(client, recipient), utf8), expected);
        }
    }
}

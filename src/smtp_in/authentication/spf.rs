//! SPF (RFC 7208).

use hickory_resolver::{
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData},
    },
};
use mail::ReversePath;
use mail_auth::{
    MessageAuthenticator, SpfResult,
    common::parse::TxtRecordParser,
    spf::{Spf, verify::SpfParameters},
};
use std::net::IpAddr;

/// May this client use this domain?
pub(super) struct Question<'a> {
    pub(super) remote: IpAddr,
    /// Of MAIL FROM, or that in EHLO where it is empty.
    pub(super) domain: &'a str,
    /// In EHLO.
    pub(super) helo: &'a str,
    /// Our own name.
    pub(super) hostname: &'a str,
    pub(super) mail_from: &'a ReversePath,
}

/// `check_host()` of RFC 7208, section 4.
pub(super) async fn check(by: &MessageAuthenticator, asked: Question<'_>) -> SpfResult {
    if !asked.domain.contains('.') {
        return SpfResult::None;
    }
    if let Err(result) = published(by, asked.domain).await {
        return result;
    }
    let Question { remote, domain, helo, hostname, mail_from } = asked;
    let sender = mail_from.to_smtp();
    let parameters = match mail_from {
        ReversePath::Null => SpfParameters::verify_ehlo(remote, domain, hostname),
        ReversePath::Address(_) => SpfParameters::verify_mail_from(remote, helo, hostname, &sender),
    };
    by.verify_spf(parameters).await.result()
}

/// Whether the domain has a record to go by, or the result without one. mail-auth takes the first good record of
/// several, overlooks a bad one with other texts beside it, and mechanisms that it does not know.
async fn published(by: &MessageAuthenticator, domain: &str) -> Result<(), SpfResult> {
    let name = Name::from_ascii(format!("{domain}.")).map_err(|_| SpfResult::None)?;
    let found = by.resolver().txt_lookup(name).await.map_err(|error| without_answer(&error))?;
    let texts = found.answers().iter().filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    });
    judge(&texts.filter(|text| is_record(text)).collect::<Vec<_>>())
}

fn without_answer(error: &NetError) -> SpfResult {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none))
            if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
        {
            SpfResult::None
        }
        _ => SpfResult::TempError,
    }
}

/// RFC 7208, section 4.5.
fn is_record(text: &[u8]) -> bool {
    let start = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"));
    start && matches!(text.get(6), None | Some(b' '))
}

fn judge(records: &[Vec<u8>]) -> Result<(), SpfResult> {
    match records {
        [] => Err(SpfResult::None),
        [record] if Spf::parse(record).is_ok() && terms(record).all(is_known) => Ok(()),
        _ => Err(SpfResult::PermError),
    }
}

fn terms(record: &[u8]) -> impl Iterator<Item = &[u8]> {
    record.split(|byte| *byte == b' ').skip(1).filter(|term| !term.is_empty())
}

/// A modifier, or one of the mechanisms (RFC 7208, section 12).
fn is_known(term: &[u8]) -> bool {
    const MECHANISMS: [&str; 8] = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"];
    let end = term.iter().position(|byte| b":/=".contains(byte));
    let (name, rest) = term.split_at(end.unwrap_or(term.len()));
    if rest.starts_with(b"=") {
        return true;
    }
    let name = match name {
        [b'+' | b'-' | b'~' | b'?', name @ ..] => name,
        name => name,
    };
    MECHANISMS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_record_is_needed() {
        for (texts, expected) in [
            (&["v=spf1 -all"][..], Ok(())),
            (&["verification=x", "V=SPF1"], Ok(())),
            (&["verification=x", "v=spf10 -all", "v=spf2.0/pra", "v=spf"], Err(SpfResult::None)),
            (&["v=spf1 -all", "v=spf1 +all"], Err(SpfResult::PermError)),
            (&["v=spf1 bogus:x -all"], Err(SpfResult::PermError)),
            (&["v=spf1 ipv4:192.0.2.1 -all"], Err(SpfResult::PermError)),
            (&["v=spf1 include: -all"], Err(SpfResult::PermError)),
            (&["v=spf1  +A/24 -MX ~ip4:192.0.2.1 ?ip6:::1 other=x exp=e.example ?ALL "], Ok(())),
            (&[], Err(SpfResult::None)),
        ] {
            let texts = texts.iter().map(|text| text.as_bytes().to_vec());
            let records: Vec<_> = texts.filter(|text| is_record(text)).collect();
            assert_eq!(judge(&records), expected, "{records:?}");
        }
    }
}

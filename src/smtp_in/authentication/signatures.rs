//! DKIM signatures (RFC 6376) and chains of ARC (RFC 8617), and mail-auth's results in the words of RFC 8601.

use super::{
    METHOD_TIME,
    results::{Outcome, SignatureCheck, Verdict},
};
use mail::{Domain, is_dkim_selector};
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, DnsError, Error, MessageAuthenticator,
    arc::ArcError,
    common::{auth_results::AsAuthResult, crypto::Algorithm},
    dkim::{DkimError, Signature},
};
use tokio::time::timeout;

/// The most signatures of a message that are looked at, and the most links of a chain.
const SIGNATURES_MAX: usize = 10;
/// The most fields that a signature may cover. Each is looked for in the header.
const COVERED_MAX: usize = 200;

/// Leaves the signatures to verify, and of these only the part that is of use. Returns what is said about those that
/// are not worth it.
pub(super) fn take_out_unacceptable(message: &mut AuthenticatedMessage<'_>) -> Vec<SignatureCheck> {
    let mut refused = Vec::new();
    message.dkim_headers.truncate(SIGNATURES_MAX);
    message.dkim_headers.retain_mut(|field| {
        // Reports about failures (RFC 6651) are not sent, and whom else an author would have sign (RFC 6541) does not
        // make a good signature bad.
        field.header.r = false;
        field.header.atps = None;
        let fault = fault(&field.header);
        if let Some(fault) = fault {
            refused.push(check(Outcome::because(Verdict::PermError, fault), Some(&field.header)));
        }
        fault.is_none()
    });
    let too_long = message.ams_headers.len() > SIGNATURES_MAX
        || message.ams_headers.iter().any(|field| field.header.h.len() > COVERED_MAX);
    if too_long {
        // mail-auth finds a chain without its seals broken before it looks anything up.
        message.as_headers.clear();
    }
    refused
}

fn fault(signature: &Signature) -> Option<&'static str> {
    if signature.h.len() > COVERED_MAX {
        return Some("too many fields are signed");
    }
    if !signature.h.iter().any(|name| name.eq_ignore_ascii_case("From")) {
        // RFC 6376, section 6.1.1.
        return Some("From is not signed");
    }
    // RFC 8301, section 3.1.
    (signature.a == Algorithm::RsaSha1).then_some("rsa-sha1 is not accepted")
}

/// Verifies the signatures that there are.
pub(super) async fn verify<'x>(
    by: &MessageAuthenticator,
    message: &'x AuthenticatedMessage<'x>,
) -> Vec<DkimOutput<'x>> {
    let Ok(found) = timeout(METHOD_TIME, by.verify_dkim(message)).await else {
        let slow = |field| DkimOutput::temp_err(no_answer()).with_signature(field);
        return message.dkim_headers.iter().map(|field| slow(&field.header)).collect();
    };
    found
}

/// Verifies the chain, if there is one.
pub(super) async fn verify_chain(
    by: &MessageAuthenticator,
    message: &AuthenticatedMessage<'_>,
) -> DkimResult {
    if message.ams_headers.is_empty() && !(message.as_headers.is_empty() && message.aar_headers.is_empty()) {
        // mail-auth looks for a chain by its signatures alone.
        return DkimResult::Fail(Error::Arc(ArcError::BrokenChain));
    }
    match timeout(METHOD_TIME, by.verify_arc(message)).await {
        Ok(found) => found.result().clone(),
        Err(_) => DkimResult::TempError(no_answer()),
    }
}

/// Whether a field has that name. White space may follow it (RFC 5322, section 4.5).
fn is_named(name: &[u8], expected: &str) -> bool {
    name.trim_ascii_end().eq_ignore_ascii_case(expected.as_bytes())
}

fn no_answer() -> Error {
    Error::Dns(DnsError::Resolver("no answer in time".into()))
}

/// What is said about each signature: about those of `message` that were verified, those that were refused before, and
/// those that cannot be read, of which mail-auth tells only some.
pub(super) fn checks(
    message: &AuthenticatedMessage<'_>,
    found: &[DkimOutput<'_>],
    refused: Vec<SignatureCheck>,
) -> Vec<SignatureCheck> {
    let verified = found.iter().filter(|one| one.signature().is_some());
    let verified = verified.map(|one| check(outcome_of_dkim(one.result()), one.signature()));
    let unreadable = message.errors.iter().filter(|field| is_named(field.name, "DKIM-Signature"));
    let unreadable = unreadable.map(|field| {
        let reason = match &field.header {
            // In mail-auth's words, a record of DNS that cannot be read.
            Error::ParseError => "syntax error".to_owned(),
            error => reason(error),
        };
        check(Outcome::because(Verdict::Neutral, reason), None)
    });
    verified.chain(refused).chain(unreadable).take(SIGNATURES_MAX).collect()
}

fn check(outcome: Outcome, signature: Option<&Signature>) -> SignatureCheck {
    SignatureCheck {
        outcome,
        domain: signature.and_then(|signature| Domain::parse(&signature.d).ok()),
        selector: signature.map(|signature| signature.s.clone()).filter(|s| is_dkim_selector(s)),
    }
}

fn outcome_of_dkim(result: &DkimResult) -> Outcome {
    match result {
        DkimResult::Pass => Outcome::of(Verdict::Pass),
        DkimResult::None => Outcome::of(Verdict::None),
        // The message was changed: mail-auth's "neutral" is for signatures that cannot be read.
        DkimResult::Neutral(error @ Error::Dkim(DkimError::FailedBodyHashMatch))
        | DkimResult::Fail(error) => Outcome::because(Verdict::Fail, reason(error)),
        DkimResult::Neutral(error) => Outcome::because(Verdict::Neutral, reason(error)),
        DkimResult::PermError(error) => Outcome::because(Verdict::PermError, reason(error)),
        DkimResult::TempError(error) => Outcome::because(Verdict::TempError, reason(error)),
    }
}

/// There are three results, and whatever cannot be verified fails (RFC 8617, section 5.2).
pub(super) fn outcome_of_arc(result: &DkimResult) -> Outcome {
    match result {
        DkimResult::Pass => Outcome::of(Verdict::Pass),
        DkimResult::None => Outcome::of(Verdict::None),
        DkimResult::Neutral(error)
        | DkimResult::Fail(error)
        | DkimResult::PermError(error)
        | DkimResult::TempError(error) => Outcome::because(Verdict::Fail, reason(error)),
    }
}

pub(super) fn outcome_of_dmarc(result: &DmarcResult) -> Outcome {
    match result {
        DmarcResult::Pass => Outcome::of(Verdict::Pass),
        DmarcResult::None => Outcome::of(Verdict::None),
        DmarcResult::Fail(error) => Outcome::because(Verdict::Fail, reason(error)),
        DmarcResult::PermError(error) => Outcome::because(Verdict::PermError, reason(error)),
        DmarcResult::TempError(error) => Outcome::because(Verdict::TempError, reason(error)),
    }
}

/// In mail-auth's words, which are fixed.
fn reason(error: &Error) -> String {
    let mut reason = String::new();
    error.as_auth_result(&mut reason);
    reason.retain(|c| !matches!(c, '(' | ')'));
    reason.trim().to_owned()
}

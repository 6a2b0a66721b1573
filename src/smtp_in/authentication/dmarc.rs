//! DMARC (RFC 9989): whether the domains of the authors stand for a message, and what they want done when they do not.

use super::{
    POLICY_TIME,
    discarded::Discarded,
    received::AuthorsFault,
    results::{DmarcCheck, Identity, Outcome, Policy, Verdict},
    signatures::outcome_of_dmarc,
};
use futures_util::future::join_all;
use mail::Domain;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, MessageAuthenticator, Parameters, SpfOutput, SpfResult,
    dmarc::{Policy as Asked, verify::DmarcParameters},
};
use tokio::time::timeout;

/// What other methods found, which a domain has to be aligned with.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) signatures: &'a [DkimOutput<'a>],
    pub(super) identity: &'a Identity,
    pub(super) spf: SpfResult,
}

/// Asks the domains of the authors. Several are exempt (RFC 9989, section 5.3.1), but nobody gets around a policy by
/// naming somebody else too: if one of them wants the message refused, that counts (RFC 7489, section 6.6.1).
pub(super) async fn check(by: &MessageAuthenticator, authors: &[String], found: Found<'_>) -> DmarcCheck {
    if let [author] = authors {
        return check_one(by, author, found).await;
    }
    // Side by side, so that no author's name servers take time from another's policy.
    let checks = join_all(authors.iter().map(|author| Box::pin(check_one(by, author, found)))).await;
    checks.into_iter().find(DmarcCheck::is_refused).unwrap_or_else(|| nobodys(Outcome::of(Verdict::None)))
}

/// Nobody is asked.
pub(super) fn without_authors(fault: AuthorsFault) -> DmarcCheck {
    let reason = match fault {
        AuthorsFault::Repeated => "more than one From field",
        AuthorsFault::Unclear => "From is not clear",
    };
    DmarcCheck { fault: Some(fault), ..nobodys(Outcome::because(Verdict::PermError, reason)) }
}

async fn check_one(by: &MessageAuthenticator, author: &str, found: Found<'_>) -> DmarcCheck {
    // mail-auth takes of a message the addresses in From, and of these the domains.
    let message =
        AuthenticatedMessage { from: vec![format!("@{author}")], ..AuthenticatedMessage::default() };
    let domain = found.identity.domain().map(Domain::as_ascii).unwrap_or_default();
    let spf = SpfOutput::new(domain.to_owned()).with_result(found.spf);
    let asked = async {
        let discarded = Discarded::find(by, author).await;
        let parameters = DmarcParameters::new(&message, found.signatures, domain, &spf);
        by.verify_dmarc(Parameters::new(parameters).with_txt_cache(&discarded)).await
    };
    let Ok(found) = timeout(POLICY_TIME, asked).await else {
        return nobodys(Outcome::because(Verdict::TempError, "no answer in time"));
    };
    DmarcCheck {
        outcome: outcome_of_dmarc(&found.result()),
        from: Domain::parse(found.domain()).ok(),
        policy: match found.policy() {
            Asked::None | Asked::Unspecified => Policy::None,
            Asked::Quarantine => Policy::Quarantine,
            Asked::Reject => Policy::Reject,
        },
        fault: None,
    }
}

fn nobodys(outcome: Outcome) -> DmarcCheck {
    DmarcCheck { outcome, from: None, policy: Policy::None, fault: None }
}

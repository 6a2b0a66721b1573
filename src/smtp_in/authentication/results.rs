//! What was found out about who a message is from, and what follows.

use super::received::AuthorsFault;
use mail::{Address, Domain};
use std::fmt::{self, Write as _};

/// The results of all methods for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::smtp_in) struct Results {
    pub(super) spf: SpfCheck,
    /// One for each signature that was looked at.
    pub(super) dkim: Vec<SignatureCheck>,
    pub(super) dmarc: DmarcCheck,
    pub(super) arc: Outcome,
}

/// Whether the client may use a name (RFC 7208).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpfCheck {
    pub(super) verdict: Verdict,
    pub(super) identity: Identity,
}

/// The name that SPF is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    MailFrom(Address),
    /// That in EHLO, where MAIL FROM is empty; `None` when it is no domain name.
    Helo(Option<Domain>),
}

/// A DKIM signature (RFC 6376).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignatureCheck {
    pub(super) outcome: Outcome,
    /// Who signed; `None` when the signature does not say it in a way that can be used.
    pub(super) domain: Option<Domain>,
    pub(super) selector: Option<String>,
}

/// Whether the domain in From stands for the message (RFC 9989).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DmarcCheck {
    pub(super) outcome: Outcome,
    /// The domain in From; `None` without one, with several, or where it is no name of a host.
    pub(super) from: Option<Domain>,
    /// What its owner wants done when it does not.
    pub(super) policy: Policy,
    /// Why nobody can tell whose policy counts.
    pub(super) fault: Option<AuthorsFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    None,
    Quarantine,
    Reject,
}

/// A verdict, and what led to it where there is more to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    /// A few words of ours, without parentheses.
    pub(super) reason: Option<String>,
}

/// The results of RFC 8601, section 2.7, that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    None,
    Pass,
    Fail,
    SoftFail,
    Neutral,
    TempError,
    PermError,
}

/// What to do with the message for its author's sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smtp_in) enum Demand {
    /// Take it.
    Accept,
    /// Refuse it, as the domain in From wants.
    Refuse,
    /// The same, unless what could not be found out now, and can be later, says otherwise.
    Later,
    /// Refuse it, since nobody can tell who its author is.
    RefuseAuthors(AuthorsFault),
}

impl Results {
    /// SPF says that the client may use MAIL FROM, or the name in EHLO where that is empty.
    pub(in crate::smtp_in) fn mail_from_is_validated(&self) -> bool {
        self.spf.verdict == Verdict::Pass
    }

    /// The domain of `from`, the address in From that is shown, stands for the message.
    pub(in crate::smtp_in) fn validates(&self, from: Option<&Address>) -> bool {
        let DmarcCheck { outcome, from: Some(domain), .. } = &self.dmarc else { return false };
        if from.is_none_or(|from| from.domain() != domain) {
            return false;
        }
        match outcome.verdict {
            Verdict::Pass => true,
            // Without a record nobody says which domains belong together. A domain can do as it likes with those
            // below it, but need not answer for what they do.
            Verdict::None => self.passing_domains().any(|passing| is_within(domain, passing)),
            _ => false,
        }
    }

    /// The domains of signatures that verify, each once.
    pub(in crate::smtp_in) fn verified_domains(&self) -> Vec<String> {
        let mut domains = Vec::new();
        for domain in self.signing_domains() {
            if domains.iter().all(|known| known != domain.as_ascii()) {
                domains.push(domain.as_ascii().to_owned());
            }
        }
        domains
    }

    /// What the policy of the domain in From makes of this. Several From fields, or one that readers read differently,
    /// would get around any policy (RFC 7489, section 6.6.1). Signatures and SPF that could not be looked up might have
    /// been good.
    pub(in crate::smtp_in) fn demand(&self) -> Demand {
        if let Some(fault) = self.dmarc.fault {
            return Demand::RefuseAuthors(fault);
        }
        match self.dmarc.is_refused() {
            false => Demand::Accept,
            true if self.is_uncertain() => Demand::Later,
            true => Demand::Refuse,
        }
    }

    /// The method and the verdict of each result.
    pub(in crate::smtp_in) fn verdicts(&self) -> Vec<(&'static str, &'static str)> {
        let mut verdicts = vec![("spf", self.spf.verdict.as_str())];
        verdicts.extend(self.dkim.iter().map(|signature| ("dkim", signature.outcome.verdict.as_str())));
        if self.dkim.is_empty() {
            verdicts.push(("dkim", Verdict::None.as_str()));
        }
        verdicts.push(("dmarc", self.dmarc.outcome.verdict.as_str()));
        verdicts.push(("arc", self.arc.verdict.as_str()));
        verdicts
    }

    fn is_uncertain(&self) -> bool {
        self.spf.verdict == Verdict::TempError
            || self.dmarc.outcome.verdict == Verdict::TempError
            || self.dkim.iter().any(|signature| signature.outcome.verdict == Verdict::TempError)
    }

    fn passing_domains(&self) -> impl Iterator<Item = &Domain> {
        let spf = self.spf.identity.domain().filter(|_| self.mail_from_is_validated());
        spf.into_iter().chain(self.signing_domains())
    }

    fn signing_domains(&self) -> impl Iterator<Item = &Domain> {
        let passing = self.dkim.iter().filter(|signature| signature.outcome.verdict == Verdict::Pass);
        passing.filter_map(|signature| signature.domain.as_ref())
    }
}

impl DmarcCheck {
    /// The domain does not stand for the message, and its owner wants such refused.
    pub(super) fn is_refused(&self) -> bool {
        match self.policy {
            Policy::None | Policy::Quarantine => false,
            Policy::Reject => !matches!(self.outcome.verdict, Verdict::Pass | Verdict::None),
        }
    }
}

/// Whether `domain` is `other` or a name below it.
fn is_within(domain: &Domain, other: &Domain) -> bool {
    let below = domain.as_ascii().strip_suffix(other.as_ascii());
    below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Identity {
    /// The domain; `None` when there is none that DNS could know.
    pub(super) fn domain(&self) -> Option<&Domain> {
        let domain = match self {
            Identity::MailFrom(address) => Some(address.domain()),
            Identity::Helo(domain) => domain.as_ref(),
        };
        domain.filter(|domain| !domain.is_literal())
    }
}

impl Outcome {
    pub(super) fn of(verdict: Verdict) -> Outcome {
        Outcome { verdict, reason: None }
    }

    pub(super) fn because(verdict: Verdict, reason: impl Into<String>) -> Outcome {
        Outcome { verdict, reason: Some(reason.into()) }
    }
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::SoftFail => "softfail",
            Verdict::Neutral => "neutral",
            Verdict::TempError => "temperror",
            Verdict::PermError => "permerror",
        }
    }
}

/// The `Authentication-Results` field of this host (RFC 8601), with its line ends. `None`: nothing was looked at.
pub(in crate::smtp_in) fn field(hostname: &Domain, results: Option<&Results>) -> String {
    let mut field = format!("Authentication-Results: {}", hostname.as_ascii());
    match results {
        Some(results) => write!(field, "{results}").expect("writing to a String does not fail"),
        None => field.push_str("; none"),
    }
    field.push_str("\r\n");
    field
}

/// One line a result.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ";\r\n\tspf={}", self.spf.verdict.as_str())?;
        match &self.spf.identity {
            // An address with a literal is no pvalue, unless it is quoted.
            Identity::MailFrom(address) if address.domain().is_literal() => {
                write!(f, " smtp.mailfrom={}", quoted(&address.to_smtp()))?;
            }
            Identity::MailFrom(address) => write!(f, " smtp.mailfrom={}", address.to_smtp())?,
            Identity::Helo(Some(domain)) => write!(f, " smtp.helo={}", domain.as_ascii())?,
            Identity::Helo(None) => {}
        }
        for signature in &self.dkim {
            write!(f, ";\r\n\tdkim={}", signature.outcome)?;
            if let Some(domain) = &signature.domain {
                write!(f, " header.d={}", domain.as_ascii())?;
            }
            if let Some(selector) = &signature.selector {
                write!(f, " header.s={selector}")?;
            }
        }
        if self.dkim.is_empty() {
            f.write_str(";\r\n\tdkim=none")?;
        }
        write!(f, ";\r\n\tdmarc={}", self.dmarc.outcome)?;
        if let Some(domain) = &self.dmarc.from {
            write!(f, " header.from={}", domain.as_ascii())?;
        }
        match self.dmarc.policy {
            Policy::None => {}
            Policy::Quarantine => f.write_str(" policy.dmarc=quarantine")?,
            Policy::Reject => f.write_str(" policy.dmarc=reject")?,
        }
        write!(f, ";\r\n\tarc={}", self.arc)
    }
}

/// The verdict, and the reason as a comment.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.as_str())?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Fail, Neutral, None as Nothing, Pass, PermError, TempError};

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn signature(verdict: Verdict, by: &str) -> SignatureCheck {
        SignatureCheck { outcome: Outcome::of(verdict), domain: Some(domain(by)), selector: None }
    }

    /// From an address at example.org, in every way.
    fn results(spf: Verdict, dkim: &[(Verdict, &str)], dmarc: Verdict, policy: Policy) -> Results {
        Results {
            spf: SpfCheck { verdict: spf, identity: Identity::MailFrom(address("a@example.org")) },
            dkim: dkim.iter().map(|(verdict, by)| signature(*verdict, by)).collect(),
            dmarc: DmarcCheck {
                outcome: Outcome::of(dmarc),
                from: Some(domain("example.org")),
                policy,
                fault: None,
            },
            arc: Outcome::of(Nothing),
        }
    }

    #[test]
    fn the_field_has_a_line_for_each_result() {
        let mut found = results(Pass, &[(Pass, "example.org")], Fail, Policy::Reject);
        found.dkim[0].selector = Some("sel.ector".into());
        found.dkim.push(SignatureCheck {
            outcome: Outcome::because(Neutral, "base64 error"),
            domain: None,
            selector: None,
        });
        found.dmarc.outcome = Outcome::because(Fail, "policy not aligned");
        let expected = "Authentication-Results: mx.example;\r\n\
            \tspf=pass smtp.mailfrom=a@example.org;\r\n\
            \tdkim=pass header.d=example.org header.s=sel.ector;\r\n\
            \tdkim=neutral (base64 error);\r\n\
            \tdmarc=fail (policy not aligned) header.from=example.org policy.dmarc=reject;\r\n\
            \tarc=none\r\n";
        assert_eq!(field(&domain("mx.example"), Some(&found)), expected);
        assert_eq!(field(&domain("mx.example"), None), "Authentication-Results: mx.example; none\r\n");
    }

    #[test]
    fn every_identity_has_its_form() {
        for (identity, expected) in [
            (Identity::MailFrom(address("ü@bücher.example")), " smtp.mailfrom=ü@xn--bcher-kva.example;"),
            (
                Identity::MailFrom(address(r#""a;b \"c\""@d.example"#)),
                r#" smtp.mailfrom="a;b \"c\""@d.example;"#,
            ),
            (Identity::MailFrom(address(r#""a b"@[192.0.2.1]"#)), r#" smtp.mailfrom="\"a b\"@[192.0.2.1]";"#),
            (Identity::Helo(Some(domain("c.example"))), " smtp.helo=c.example;"),
            (Identity::Helo(None), ";"),
        ] {
            let mut found = results(Nothing, &[], Nothing, Policy::None);
            found.spf.identity = identity;
            let said = field(&domain("mx.example"), Some(&found));
            let line = said.lines().nth(1).unwrap();
            assert_eq!(line, format!("\tspf=none{expected}"), "{said}");
        }
    }

    #[test]
    fn a_policy_of_reject_is_followed_unless_something_could_not_be_found_out() {
        let other = "other.example";
        for (spf, dkim, dmarc, policy, expected) in [
            (Fail, Nothing, Fail, Policy::Reject, Demand::Refuse),
            (Pass, Pass, Fail, Policy::Reject, Demand::Refuse),
            (TempError, Nothing, Fail, Policy::Reject, Demand::Later),
            (Fail, TempError, Fail, Policy::Reject, Demand::Later),
            (Fail, PermError, TempError, Policy::Reject, Demand::Later),
            (TempError, TempError, Pass, Policy::Reject, Demand::Accept),
            (Fail, Fail, Nothing, Policy::Reject, Demand::Accept),
            (Fail, Fail, Fail, Policy::Quarantine, Demand::Accept),
            (Fail, Fail, Fail, Policy::None, Demand::Accept),
            (Fail, Fail, TempError, Policy::None, Demand::Accept),
        ] {
            let mut found = results(spf, &[(dkim, other)], dmarc, policy);
            assert_eq!(found.demand(), expected, "{found}");
            // A name that is none of a host has a policy all the same.
            found.dmarc.from = None;
            assert_eq!(found.demand(), expected, "{found}");
            for fault in [AuthorsFault::Repeated, AuthorsFault::Unclear] {
                found.dmarc.fault = Some(fault);
                assert_eq!(found.demand(), Demand::RefuseAuthors(fault), "{found}");
            }
        }
    }

    #[test]
    fn a_from_address_is_validated_by_dmarc_or_without_a_record_by_its_own_domain_or_one_above() {
        let from = address("someone@example.org");
        for (spf, dkim, dmarc, expected) in [
            (Pass, (Nothing, "example.org"), Pass, true),
            (Pass, (Nothing, "example.org"), Fail, false),
            (Pass, (Nothing, "example.org"), TempError, false),
            (Pass, (Nothing, "example.org"), Nothing, true),
            (Fail, (Pass, "example.org"), Nothing, true),
            (Fail, (Fail, "example.org"), Nothing, false),
            (Fail, (Pass, "news.example.org"), Nothing, false),
            (Fail, (Pass, "notexample.org"), Nothing, false),
            (Fail, (Pass, "other.example"), Nothing, false),
        ] {
            let found = results(spf, &[dkim], dmarc, Policy::None);
            assert_eq!(found.validates(Some(&from)), expected, "{found}");
            assert!(!found.validates(Some(&address("someone@other.example"))), "{found}");
            assert!(!found.validates(None), "{found}");
        }
        let mut found = results(Pass, &[(Pass, "example.org")], Nothing, Policy::None);
        found.dmarc.from = Some(domain("news.example.org"));
        assert!(found.validates(Some(&address("someone@news.example.org"))));
        found.dmarc.from = None;
        assert!(!found.validates(Some(&from)));
    }

    #[test]
    fn verified_domains_are_those_whose_signatures_are_good() {
        let dkim = [(Pass, "a.example"), (Fail, "b.example"), (Pass, "A.example"), (Pass, "c.example")];
        let found = results(Nothing, &dkim, Nothing, Policy::None);
        assert_eq!(found.verified_domains(), ["a.example", "c.example"]);
        let counted = found.verdicts();
        assert_eq!(counted.len(), 7);
        assert!(counted.contains(&("dkim", "fail")));
    }
}

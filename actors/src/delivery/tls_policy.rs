//! What TLS to a mail exchanger must be like: pure rules.

use super::{
    mta_sts,
    tls::{Requirement, usable},
};
use crate::dns::Tlsa;
use mail::EnhancedCode;
use store::records::{StsPolicyRecord, TlsPolicyKind};

/// What a message asks of TLS (RFC 8689).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// What the policies of the other side say.
    Usual,
    /// REQUIRETLS: TLS that is verified, all the way.
    Required,
    /// TLS-Required: no. Getting through counts more than any policy.
    NotRequired,
}

impl Demand {
    /// Of a message's `require_tls`.
    pub(crate) fn of(require_tls: Option<bool>) -> Demand {
        match require_tls {
            None => Demand::Usual,
            Some(true) => Demand::Required,
            Some(false) => Demand::NotRequired,
        }
    }
}

/// What is known about a host.
pub(crate) struct HostFacts<'a> {
    /// Its name, as the MX record has it.
    pub(crate) host: &'a str,
    /// The name behind its CNAMEs, where those are proven.
    pub(crate) canonical: Option<&'a str>,
    /// The recipients' domain.
    pub(crate) domain: &'a str,
    /// DNSSEC proves that it is an exchanger of the domain.
    pub(crate) proven: bool,
    /// Its TLSA records; `None` where there are none, or none that are proven.
    pub(crate) tlsa: Option<&'a [Tlsa]>,
    /// The policy of the domain, in mode enforce.
    pub(crate) sts: Option<&'a StsPolicyRecord>,
}

/// What holds for connections to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPolicy {
    pub(crate) kind: TlsPolicyKind,
    pub(crate) requirement: Requirement,
}

/// Why a host may not get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the MTA-STS policy of the domain does not allow this host")]
    NotInPolicy,
    #[error(
        "the message requires TLS all the way (RequireTLS), and neither DNSSEC nor MTA-STS proves that this host \
         takes mail for the domain"
    )]
    Unproven,
}

impl Unfit {
    /// RFC 3463, and RFC 8689 for what no other try would change.
    pub(crate) fn enhanced(self) -> Option<EnhancedCode> {
        match self {
            Unfit::NotInPolicy => EnhancedCode::new(4, 7, 5),
            Unfit::Unproven => EnhancedCode::new(5, 7, 30),
        }
    }
}

/// The policy for a host.
pub(crate) fn host_policy(demand: Demand, facts: &HostFacts<'_>) -> Result<HostPolicy, Unfit> {
    if demand == Demand::NotRequired {
        return Ok(HostPolicy { kind: TlsPolicyKind::TlsNotRequired, requirement: Requirement::Optional });
    }
    let required = demand == Demand::Required;
    let kind = |kind| if required { TlsPolicyKind::RequireTls } else { kind };
    // Where both hold, DANE decides (RFC 8461 2).
    if let Some(records) = facts.tlsa {
        let records = usable(records);
        let names = [Some(facts.host), facts.canonical, Some(facts.domain)];
        if !records.is_empty() {
            let names = names.into_iter().flatten().map(str::to_owned).collect();
            let requirement = Requirement::Dane { records, names };
            return Ok(HostPolicy { kind: kind(TlsPolicyKind::Dane), requirement });
        }
        // RFC 7672 2.2: records that nobody can use still ask for TLS.
        if !required {
            return Ok(HostPolicy { kind: TlsPolicyKind::Dane, requirement: Requirement::AnyCertificate });
        }
    }
    let verified = || Requirement::Verified { names: vec![facts.host.to_owned()] };
    if let Some(policy) = facts.sts {
        if !mta_sts::allows(&policy.mx, facts.host) {
            return Err(Unfit::NotInPolicy);
        }
        return Ok(HostPolicy { kind: kind(TlsPolicyKind::MtaSts), requirement: verified() });
    }
    match required {
        true if facts.proven => Ok(HostPolicy { kind: TlsPolicyKind::RequireTls, requirement: verified() }),
        true => Err(Unfit::Unproven),
        false => Ok(HostPolicy { kind: TlsPolicyKind::Opportunistic, requirement: Requirement::Optional }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::Timestamp;
    use store::records::StsMode;

    #[test]
    fn dane_goes_before_mta_sts_and_messages_may_ask_for_more_or_less() {
        let good = vec![Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 32] }];
        let useless = vec![Tlsa { usage: 1, selector: 1, matching: 1, data: vec![0; 32] }];
        let policy = |mx: &str| StsPolicyRecord {
            id: "1".into(),
            mode: StsMode::Enforce,
            mx: vec![mx.into()],
            fetched: Timestamp::default(),
            expires: Timestamp::default(),
        };
        let (allowing, other) = (policy("mx.remote.example"), policy("other.example"));
        let verified = || Requirement::Verified { names: vec!["mx.remote.example".into()] };
        let dane = || Requirement::Dane {
            records: good.clone(),
            names: vec!["mx.remote.example".into(), "remote.example".into()],
        };
        use {Demand::*, TlsPolicyKind as Kind};
        let table = [
            (Usual, false, None, None, Ok((Kind::Opportunistic, Requirement::Optional))),
            (Usual, true, Some(&good), None, Ok((Kind::Dane, dane()))),
            (Usual, true, Some(&good), Some(&other), Ok((Kind::Dane, dane()))),
            (Usual, true, Some(&useless), None, Ok((Kind::Dane, Requirement::AnyCertificate))),
            (Usual, false, None, Some(&allowing), Ok((Kind::MtaSts, verified()))),
            (Usual, false, None, Some(&other), Err(Unfit::NotInPolicy)),
            (Required, false, None, None, Err(Unfit::Unproven)),
            (Required, true, None, None, Ok((Kind::RequireTls, verified()))),
            (Required, true, Some(&good), None, Ok((Kind::RequireTls, dane()))),
            (Required, true, Some(&useless), None, Ok((Kind::RequireTls, verified()))),
            (Required, false, None, Some(&allowing), Ok((Kind::RequireTls, verified()))),
            (Required, false, None, Some(&other), Err(Unfit::NotInPolicy)),
            (NotRequired, true, Some(&good), Some(&other), Ok((Kind::TlsNotRequired, Requirement::Optional))),
        ];
        for (demand, proven, tlsa, sts, expected) in table {
            let facts = HostFacts {
                host: "mx.remote.example",
                canonical: None,
                domain: "remote.example",
                proven,
                tlsa: tlsa.map(Vec::as_slice),
                sts,
            };
            let expected = expected.map(|(kind, requirement)| HostPolicy { kind, requirement });
            assert_eq!(host_policy(demand, &facts), expected, "{demand:?} {proven} {tlsa:?} {sts:?}");
        }
    }
}

//! `[dns]`: who answers questions about names.

use crate::source::{Section, choice, nameserver, path};
use std::{net::SocketAddr, path::PathBuf};

/// Who answers questions about names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The resolvers to ask, at most 16; none: the system's.
    pub nameservers: Vec<SocketAddr>,
    /// Whether signatures are checked.
    pub dnssec: Dnssec,
    /// DNSKEY records to trust instead of the root's. With them signatures are always checked.
    pub trust_anchor_file: Option<PathBuf>,
}

/// Whether signatures of DNSSEC are checked here, on which DANE depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dnssec {
    /// Where the resolvers pass them on.
    Auto,
    /// Always; where they are not passed on, nothing can be looked up.
    Validate,
    /// Never.
    Off,
}

const DNSSEC: &[(&str, Dnssec)] =
    &[("auto", Dnssec::Auto), ("validate", Dnssec::Validate), ("off", Dnssec::Off)];

impl Dns {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Dns {
        let base = section.base();
        let nameservers = section.list("nameservers", 16, nameserver);
        let dnssec = section.required("dnssec", choice(DNSSEC)).unwrap_or(Dnssec::Auto);
        let trust_anchor_file = section.optional("trust_anchor_file", path(base));
        section.check(
            "trust_anchor_file",
            trust_anchor_file.is_none() || dnssec != Dnssec::Off,
            "does not go with dnssec = \"off\"",
        );
        Dns { nameservers, dnssec, trust_anchor_file }
    }
}

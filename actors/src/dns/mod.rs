//! Questions about names, and answers as mail needs them.

mod lookups;

pub(crate) use lookups::server;
pub use lookups::{DnsError, DnsResolver, name_servers};

use config::AddressFamily;
use futures_util::future::BoxFuture;
use std::net::IpAddr;

/// Answers questions about names. Tests bring one of their own. Names are in A-labels, without a final dot.
pub trait Resolver: Send + Sync {
    /// The mail exchangers of a domain. Proven where DNSSEC proves it.
    fn mx<'r>(&'r self, domain: &'r str) -> LookupFuture<'r, Mx>;

    /// The addresses of a host, IPv6 and IPv4 in turn. Proven only when `proven` asks for it, since that costs more.
    fn addresses<'r>(
        &'r self,
        host: &'r str,
        family: AddressFamily,
        proven: bool,
    ) -> LookupFuture<'r, IpAddr>;

    /// The TLSA records of a TCP port (RFC 6698).
    fn tlsa<'r>(&'r self, host: &'r str, port: u16) -> LookupFuture<'r, Tlsa>;

    /// The texts at a name, each joined from its strings.
    fn txt<'r>(&'r self, name: &'r str) -> LookupFuture<'r, String>;
}

/// An answer that comes later.
pub type LookupFuture<'r, T> = BoxFuture<'r, Result<Answer<T>, LookupError>>;

/// What a name server says: also that there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records; none where there are none of the kind.
    pub records: Vec<T>,
    /// The name exists; else there are no records of any kind (NXDOMAIN).
    pub exists: bool,
    /// DNSSEC proves all of it.
    pub secure: bool,
    /// The name at the end of the CNAMEs, where there are any.
    pub canonical: Option<String>,
}

impl<T> Answer<T> {
    /// Some records, unproven.
    pub fn of(records: Vec<T>) -> Answer<T> {
        Answer { records, exists: true, secure: false, canonical: None }
    }
}

/// Knows no names: for servers that deliver to one address only.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Resolver for NoNames {
    fn mx<'r>(&'r self, _: &'r str) -> LookupFuture<'r, Mx> {
        nothing()
    }

    fn addresses<'r>(&'r self, _: &'r str, _: AddressFamily, _: bool) -> LookupFuture<'r, IpAddr> {
        nothing()
    }

    fn tlsa<'r>(&'r self, _: &'r str, _: u16) -> LookupFuture<'r, Tlsa> {
        nothing()
    }

    fn txt<'r>(&'r self, _: &'r str) -> LookupFuture<'r, String> {
        nothing()
    }
}

fn nothing<'r, T: Send + 'r>() -> LookupFuture<'r, T> {
    Box::pin(async { Ok(Answer::of(Vec::new())) })
}

/// Why there is no answer, not even that there is nothing. Another time there may be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// DNSSEC says that the answer is not to be believed (RFC 4035 4.3).
    #[error("the answer of the name servers for {0} fails DNSSEC validation")]
    Bogus(String),
    /// The servers failed, refused or said nothing in time.
    #[error("looking up {name}: {problem}")]
    Failed {
        /// The name asked for.
        name: String,
        /// What happened, for people.
        problem: String,
    },
}

/// A mail exchanger (RFC 5321 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// The lower, the sooner it is tried.
    pub preference: u16,
    /// Its name; empty is the null MX of RFC 7505.
    pub exchange: String,
}

/// What a TLS certificate must match (RFC 6698 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 0 to 3.
    pub usage: u8,
    /// 0: the certificate, 1: its key.
    pub selector: u8,
    /// 0: as it is, 1: SHA-256, 2: SHA-512.
    pub matching: u8,
    /// The data.
    pub data: Vec<u8>,
}

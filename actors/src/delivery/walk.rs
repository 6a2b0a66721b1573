//! The walk from a destination to a connection: which hosts there are, at which addresses, under which policy.

use super::{
    Deps, Dialer,
    attempt::{Job, Placed, enhanced_code},
    connection::{Connection, OpenError, Opening},
    dial::{NextHop, Proxy},
    exchange::{NoExchange, exchanges},
    route::{Direct, Relay, Target, Way},
    tls::Requirement,
    tls_policy::{Demand, HostFacts, HostPolicy, Unfit, host_policy},
};
use crate::dns::{LookupError, Tlsa};
use config::AddressFamily;
use mail::{AccountId, Domain, EnhancedCode};
use rand::seq::{IndexedRandom, SliceRandom};
use smtp::{Failure, Phase};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use store::records::{StsPolicyRecord, TlsPolicyKind};
use tokio::time::Instant;

/// Addresses that are tried in one attempt.
const TRIES_MAX: usize = 10;
/// After this no further address is tried.
const TIME_MAX: Duration = Duration::from_secs(600);

/// The way to a destination, host by host.
pub(crate) struct Walk<'w> {
    deps: &'w Deps,
    demand: Demand,
    account: AccountId,
    placed: Placed,
    ahead: VecDeque<Stop>,
    settings: Settings<'w>,
    /// Contents may go by BDAT.
    chunking: bool,
    tries: usize,
    until: Instant,
}

/// What all hosts of a walk have in common.
struct Settings<'w> {
    ehlo_name: &'w str,
    source_addresses: &'w [IpAddr],
    proxy: Option<&'w Proxy>,
    implicit_tls: bool,
    login: Option<&'w smtp::Login>,
}

/// What comes next.
enum Stop {
    /// A mail exchanger whose addresses are not known yet.
    Exchanger {
        host: String,
        domain: String,
        port: u16,
        family: AddressFamily,
        proven: bool,
        sts: Option<StsPolicyRecord>,
    },
    /// A relay whose addresses are not known yet.
    Relay { host: String, port: u16, policy: HostPolicy },
    /// An address.
    Address { host: String, address: SocketAddr, policy: HostPolicy },
}

/// Why a host, or all of a destination, cannot be used.
pub(crate) enum Obstacle {
    /// There is no way at all.
    Nowhere(NoExchange),
    /// Names cannot be looked up.
    Lookup(LookupError),
    /// A host has no address that can be used.
    NoAddress { host: String, exists: bool },
    /// Its TLS policy forbids it.
    Unfit { host: String, unfit: Unfit },
    /// No connection could be opened.
    Open { host: String, address: IpAddr, policy: TlsPolicyKind, error: OpenError },
    /// The reply of a transport that delivers nothing.
    Refusal { code: u16, text: String },
    /// Something only the operator can put right.
    Setting(String),
}

impl<'w> Walk<'w> {
    /// Finds the hosts of a destination.
    pub(crate) async fn begin(deps: &'w Deps, destination: &str, job: &Job) -> Result<Walk<'w>, Obstacle> {
        let (account, demand) = (job.messages[0].1.account, job.demand());
        let (way, domain) =
            deps.router.way(destination).map_err(|unknown| Obstacle::Setting(unknown.to_string()))?;
        let ehlo_name = deps.options.ehlo_name.as_str();
        let (ahead, settings) = match way {
            Way::Fail { code, text } => {
                return Err(Obstacle::Refusal { code: *code, text: text.clone() });
            }
            Way::Relay(relay) => {
                let settings = Settings {
                    ehlo_name,
                    source_addresses: &[],
                    proxy: None,
                    implicit_tls: relay.implicit_tls,
                    login: relay.login.as_ref(),
                };
                (VecDeque::from([relay_stop(relay)]), settings)
            }
            Way::Direct(direct) => {
                let settings = Settings {
                    ehlo_name: direct.ehlo_name.as_deref().unwrap_or(ehlo_name),
                    source_addresses: &direct.source_addresses,
                    proxy: direct.proxy.as_ref(),
                    implicit_tls: false,
                    login: None,
                };
                (exchanger_stops(deps, direct, domain, demand).await?, settings)
            }
        };
        let until = Instant::now() + TIME_MAX;
        let placed = job.placed.clone();
        Ok(Walk { deps, demand, account, placed, ahead, settings, chunking: true, tries: 0, until })
    }

    /// Opens a connection to the next host that can be reached; `None` when there is none left.
    pub(crate) async fn next(&mut self) -> Option<Result<Box<Connection>, Obstacle>> {
        let mut met: Option<Obstacle> = None;
        while let Some(stop) = self.ahead.pop_front() {
            let reached = match stop {
                Stop::Exchanger { host, domain, port, family, proven, sts } => {
                    self.look_up_exchanger(host, &domain, port, family, proven, sts.as_ref()).await
                }
                Stop::Relay { host, port, policy } => self.look_up_relay(host, port, &policy).await,
                Stop::Address { host, address, policy } => match self.connect(host, address, &policy).await {
                    Ok(connection) => return Some(Ok(connection)),
                    Err(obstacle) => Err(obstacle),
                },
            };
            if let Err(obstacle) = reached {
                // What another time may be otherwise counts more than what will not.
                if !obstacle.is_permanent() || met.as_ref().is_none_or(Obstacle::is_permanent) {
                    met = Some(obstacle);
                }
            }
            if self.tries >= TRIES_MAX || Instant::now() > self.until {
                self.ahead.clear();
            }
        }
        met.map(Err)
    }

    /// Whether there are more hosts to try.
    pub(crate) fn goes_on(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Has the next connection, and all after it, opened without BDAT.
    pub(crate) fn leave_chunking(&mut self) {
        self.chunking = false;
    }

    /// Puts a host that was reached in front again.
    pub(crate) fn go_back(&mut self, hop: NextHop, policy: HostPolicy) {
        self.ahead.push_front(Stop::Address { host: hop.host, address: hop.address, policy });
    }

    async fn look_up_exchanger(
        &mut self,
        host: String,
        domain: &str,
        port: u16,
        family: AddressFamily,
        proven: bool,
        sts: Option<&StsPolicyRecord>,
    ) -> Result<(), Obstacle> {
        let resolver = &*self.deps.resolver;
        let answer = resolver.addresses(&host, family, proven).await.map_err(Obstacle::Lookup)?;
        let canonical = answer.canonical.filter(|_| answer.secure);
        let tlsa = match proven && answer.secure && self.demand != Demand::NotRequired {
            true => tlsa(self.deps, &host, canonical.as_deref(), port).await?,
            false => None,
        };
        let facts = HostFacts {
            host: &host,
            canonical: canonical.as_deref(),
            domain,
            proven,
            tlsa: tlsa.as_deref(),
            sts,
        };
        let policy = host_policy(self.demand, &facts)
            .map_err(|unfit| Obstacle::Unfit { host: host.clone(), unfit })?;
        self.put_addresses(host, port, &answer.records, answer.exists, &policy)
    }

    async fn look_up_relay(&mut self, host: String, port: u16, policy: &HostPolicy) -> Result<(), Obstacle> {
        let resolver = &*self.deps.resolver;
        let answer = resolver.addresses(&host, AddressFamily::Any, false).await.map_err(Obstacle::Lookup)?;
        self.put_addresses(host, port, &answer.records, answer.exists, policy)
    }

    /// The addresses of a host come next, before other hosts.
    fn put_addresses(
        &mut self,
        host: String,
        port: u16,
        addresses: &[IpAddr],
        exists: bool,
        policy: &HostPolicy,
    ) -> Result<(), Obstacle> {
        let sources = self.settings.source_addresses;
        let has_source = |ip: &&IpAddr| {
            sources.is_empty() || sources.iter().any(|source| source.is_ipv4() == ip.is_ipv4())
        };
        let usable: Vec<_> = addresses.iter().filter(has_source).collect();
        if usable.is_empty() {
            return Err(Obstacle::NoAddress { host, exists: exists && !addresses.is_empty() });
        }
        for ip in usable.into_iter().rev() {
            let address = SocketAddr::new(*ip, port);
            self.ahead.push_front(Stop::Address { host: host.clone(), address, policy: policy.clone() });
        }
        Ok(())
    }

    async fn connect(
        &mut self,
        host: String,
        address: SocketAddr,
        policy: &HostPolicy,
    ) -> Result<Box<Connection>, Obstacle> {
        let own = policy.kind != TlsPolicyKind::Relay && self.deps.options.own_addresses.contains(&address);
        if own {
            let address = address.ip();
            return Err(Obstacle::Open { host, address, policy: policy.kind, error: OpenError::Loop });
        }
        let sources = self.settings.source_addresses.iter();
        let sources: Vec<_> = sources.filter(|source| source.is_ipv4() == address.is_ipv4()).collect();
        let source = sources.choose(&mut rand::rng()).map(|source| **source);
        let hop = NextHop { host, address, source, proxy: self.settings.proxy.cloned() };
        match self.open(hop.clone(), policy).await {
            Err(error) if policy.requirement == Requirement::Optional && is_about_tls(&error) => {
                // Better in plain text than not at all, where nothing asks for more (RFC 7435).
                let plain = HostPolicy { kind: policy.kind, requirement: Requirement::Forbidden };
                self.open(hop.clone(), &plain).await
            }
            opened => opened,
        }
        .map_err(|error| {
            if is_final_for_host(&error) {
                self.skip_host(&hop.host);
            }
            Obstacle::Open { host: hop.host, address: address.ip(), policy: policy.kind, error }
        })
    }

    async fn open(&mut self, hop: NextHop, policy: &HostPolicy) -> Result<Box<Connection>, OpenError> {
        self.tries += 1;
        let permit = self.deps.lanes.permit(self.account).await;
        self.placed.set();
        let opening = Opening {
            hop,
            ehlo_name: self.settings.ehlo_name,
            timeouts: self.deps.options.timeouts,
            policy,
            demand: self.demand,
            implicit_tls: self.settings.implicit_tls,
            login: self.settings.login,
            chunking: self.chunking,
            now: self.deps.clock.now(),
        };
        let dialer: &dyn Dialer = &*self.deps.dialer;
        // Apart, so that the many attempts that wait for a place are small.
        Box::pin(Connection::open(opening, dialer, &self.deps.tls, permit, &self.deps.metrics)).await
    }

    /// Other addresses of a host would say the same.
    fn skip_host(&mut self, name: &str) {
        while matches!(self.ahead.front(), Some(Stop::Address { host, .. }) if host == name) {
            self.ahead.pop_front();
        }
    }
}

fn relay_stop(relay: &Relay) -> Stop {
    let policy = HostPolicy { kind: TlsPolicyKind::Relay, requirement: relay.requirement.clone() };
    match &relay.target {
        Target::Address { name, address } => Stop::Address { host: name.clone(), address: *address, policy },
        Target::Name { host, port } => Stop::Relay { host: host.clone(), port: *port, policy },
    }
}

/// The mail exchangers of a domain, in the order in which they are tried.
async fn exchanger_stops(
    deps: &Deps,
    direct: &Direct,
    domain: &str,
    demand: Demand,
) -> Result<VecDeque<Stop>, Obstacle> {
    let parsed = Domain::parse(domain).map_err(|error| Obstacle::Setting(error.to_string()))?;
    if let Some(ip) = parsed.literal() {
        let facts = HostFacts { host: domain, canonical: None, domain, proven: false, tlsa: None, sts: None };
        let policy = host_policy(demand, &facts)
            .map_err(|unfit| Obstacle::Unfit { host: domain.to_owned(), unfit })?;
        let address = SocketAddr::new(ip, direct.port);
        return Ok(VecDeque::from([Stop::Address { host: ip.to_string(), address, policy }]));
    }
    let answer = deps.resolver.mx(domain).await.map_err(Obstacle::Lookup)?;
    let ehlo_name = direct.ehlo_name.as_deref().unwrap_or(&deps.options.ehlo_name);
    let hosts = exchanges(domain, &answer, ehlo_name, |hosts| hosts.shuffle(&mut rand::rng()))
        .map_err(Obstacle::Nowhere)?;
    let sts = match demand {
        Demand::Usual | Demand::Required => deps.sts.enforced(&parsed).await,
        Demand::NotRequired => None,
    };
    let stop = |host| Stop::Exchanger {
        host,
        domain: domain.to_owned(),
        port: direct.port,
        family: direct.family,
        proven: answer.secure,
        sts: sts.clone(),
    };
    Ok(hosts.into_iter().map(stop).collect())
}

/// The TLSA records of a host, at the name behind its CNAMEs or at its own (RFC 7672 2.2.2).
async fn tlsa(
    deps: &Deps,
    host: &str,
    canonical: Option<&str>,
    port: u16,
) -> Result<Option<Vec<Tlsa>>, Obstacle> {
    for name in canonical.into_iter().chain([host]) {
        let answer = deps.resolver.tlsa(name, port).await.map_err(Obstacle::Lookup)?;
        if answer.secure && !answer.records.is_empty() {
            return Ok(Some(answer.records));
        }
    }
    Ok(None)
}

/// Whether it might go better without TLS.
fn is_about_tls(error: &OpenError) -> bool {
    match error {
        OpenError::Tls(_) => true,
        OpenError::Session(failure) => failure.at() == Phase::StartTls,
        OpenError::Unreachable(_) | OpenError::NoTls | OpenError::Loop => false,
    }
}

/// Whether a host's other addresses need not be tried: it has answered.
fn is_final_for_host(error: &OpenError) -> bool {
    match error {
        OpenError::Session(Failure::Refused { .. }) | OpenError::NoTls | OpenError::Loop => true,
        OpenError::Session(_) | OpenError::Tls(_) | OpenError::Unreachable(_) => false,
    }
}

impl Obstacle {
    /// Trying again cannot help.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Obstacle::Nowhere(_) => true,
            Obstacle::NoAddress { exists, .. } => !exists,
            Obstacle::Unfit { unfit, .. } => *unfit == Unfit::Unproven,
            Obstacle::Open { error: OpenError::Loop, .. } => true,
            Obstacle::Open { error: OpenError::Session(failure), .. } => match failure {
                // The operator can put the login right.
                Failure::Refused { at: Phase::Auth, .. } => false,
                Failure::Refused { reply, .. } => !reply.is_transient(),
                failure => failure.enhanced().is_some_and(|code| code.class() == 5),
            },
            Obstacle::Lookup(_) | Obstacle::Open { .. } | Obstacle::Refusal { .. } | Obstacle::Setting(_) => {
                false
            }
        }
    }

    /// RFC 3463.
    pub(crate) fn enhanced(&self) -> Option<EnhancedCode> {
        let (class, subject, detail) = match self {
            Obstacle::Nowhere(NoExchange::NoSuchDomain(_)) => (5, 1, 2),
            Obstacle::Nowhere(NoExchange::NullMx(_)) => (5, 1, 10),
            Obstacle::Nowhere(NoExchange::Loop(_)) => (5, 4, 6),
            Obstacle::Nowhere(NoExchange::Malformed(_)) => (5, 4, 4),
            Obstacle::Lookup(_) => (4, 4, 3),
            Obstacle::NoAddress { exists: false, .. } => (5, 4, 4),
            Obstacle::NoAddress { .. } => (4, 4, 4),
            Obstacle::Unfit { unfit, .. } => return unfit.enhanced(),
            Obstacle::Open { error, .. } => match error {
                OpenError::Unreachable(_) => (4, 4, 1),
                OpenError::Session(Failure::Refused { at: Phase::Auth, .. }) => (4, 7, 8),
                OpenError::Session(failure) => return failure.enhanced().and_then(enhanced_code),
                OpenError::Tls(_) => (4, 7, 5),
                OpenError::NoTls => (4, 7, 10),
                OpenError::Loop => (5, 4, 6),
            },
            Obstacle::Refusal { .. } => return None,
            Obstacle::Setting(_) => (4, 3, 5),
        };
        EnhancedCode::new(class, subject, detail)
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Obstacle::Nowhere(reason) => reason.fmt(f),
            Obstacle::Lookup(error) => error.fmt(f),
            Obstacle::NoAddress { host, .. } => write!(f, "the host {host} has no address that can be used"),
            Obstacle::Unfit { host, unfit } => write!(f, "{host}: {unfit}"),
            Obstacle::Open { error, policy, .. } => match error {
                OpenError::Unreachable(error) => write!(f, "connecting: {error}"),
                OpenError::Session(failure) => failure.fmt(f),
                OpenError::Tls(error) => error.fmt(f),
                OpenError::NoTls => {
                    f.write_str("TLS is required for this host, and it does not offer it")?;
                    if *policy == TlsPolicyKind::Relay {
                        f.write_str("; set tls = \"none\" in the transport, if that is meant")?;
                    }
                    Ok(())
                }
                OpenError::Loop => f.write_str(
                    "mail loops back to this server: the host gives this server's own name or address",
                ),
            },
            Obstacle::Refusal { code, text } => write!(f, "{code} {text}"),
            Obstacle::Setting(problem) => f.write_str(problem),
        }
    }
}

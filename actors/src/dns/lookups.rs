//! Looking names up, by hickory.

use super::{Answer, LookupError, LookupFuture, Mx, Resolver, Tlsa};
use crate::Metrics;
use config::{AddressFamily, Dnssec};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError as NetDnsError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{
        dnssec::{Proof, TrustAnchors},
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType},
    },
    system_conf,
};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// For one answer of one server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(4);
/// How often servers are asked again.
const RETRIES: usize = 2;
/// For a lookup as a whole, CNAMEs and proofs included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// Lookups under way at a time; the others wait.
const LOOKUPS_MAX: usize = 256;
/// Answers remembered.
const CACHE_ENTRIES: u64 = 20_000;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 100;
/// How long to wait before it is looked again whether name servers pass signatures on.
const PROBE_AGAIN: Duration = Duration::from_secs(300);

/// Why names cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The system's settings, in /etc/resolv.conf, cannot be read.
    #[error("the system's name servers are not known ({0}); set [dns] nameservers")]
    System(NetError),
    /// The file with trust anchors cannot be read.
    #[error("the trust anchors in {path} cannot be read: {problem}")]
    TrustAnchors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The resolver cannot be set up.
    #[error("names cannot be looked up: {0}")]
    Setup(NetError),
}

/// Looks names up at name servers, and remembers answers as long as they may be.
pub struct DnsResolver {
    plain: TokioResolver,
    validating: Option<Validating>,
    lookups: Semaphore,
    metrics: Metrics,
}

struct Validating {
    resolver: TokioResolver,
    /// When it was last found out that signatures do not come through; `None`: they do.
    doubt: Mutex<Option<Doubt>>,
}

enum Doubt {
    NeverAsked,
    Since(Instant),
}

impl DnsResolver {
    /// Asks the servers of the settings, or those of the system.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub fn new(settings: &config::Dns, metrics: Metrics) -> Result<DnsResolver, DnsError> {
        let config = name_servers(settings)?;
        let build = |validate: bool, anchors: Option<TrustAnchors>| {
            let provider = TokioRuntimeProvider::default();
            let mut builder =
                TokioResolver::builder_with_config(config.clone(), provider).with_options(options(validate));
            if let Some(anchors) = anchors {
                builder = builder.with_trust_anchor(Arc::new(anchors));
            }
            builder.build().map_err(DnsError::Setup)
        };
        let anchors = settings.trust_anchor_file.as_deref().map(read_anchors).transpose()?;
        let validating = match (settings.dnssec, anchors) {
            (Dnssec::Off, _) => None,
            (Dnssec::Auto, None) => {
                Some(Validating { resolver: build(true, None)?, doubt: Some(Doubt::NeverAsked).into() })
            }
            (Dnssec::Validate | Dnssec::Auto, anchors) => {
                Some(Validating { resolver: build(true, anchors)?, doubt: None.into() })
            }
        };
        Ok(DnsResolver {
            plain: build(false, None)?,
            validating,
            lookups: Semaphore::new(LOOKUPS_MAX),
            metrics,
        })
    }

    /// The resolver that validates, once it is known that it can.
    async fn validating(&self) -> Option<&TokioResolver> {
        let validating = self.validating.as_ref()?;
        let now = Instant::now();
        {
            let mut doubt = validating.doubt.lock().unwrap_or_else(PoisonError::into_inner);
            match &*doubt {
                None => return Some(&validating.resolver),
                Some(Doubt::Since(since)) if now - *since < PROBE_AGAIN => return None,
                // Others go without meanwhile.
                Some(_) => *doubt = Some(Doubt::Since(now)),
            }
        }
        let works = passes_signatures(&validating.resolver).await;
        if works {
            *validating.doubt.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!("the name servers pass DNSSEC signatures on: DANE is on");
            return Some(&validating.resolver);
        }
        tracing::warn!(
            "the name servers pass no DNSSEC signatures on, so DANE is off; use a validating resolver, or set \
             dnssec = \"off\" in [dns]"
        );
        None
    }

    async fn lookup(
        &self,
        resolver: &TokioResolver,
        name: &str,
        kind: RecordType,
    ) -> Result<Answer<RData>, LookupError> {
        let failed = |problem: String| LookupError::Failed { name: name.to_owned(), problem };
        // The final dot keeps the system's search list out of it.
        let fqdn = Name::from_ascii(format!("{name}.")).map_err(|error| failed(error.to_string()))?;
        let _turn = self.lookups.acquire().await.expect("the semaphore is never closed");
        let found = match tokio::time::timeout(LOOKUP_TIMEOUT, resolver.lookup(fqdn, kind)).await {
            Ok(Ok(lookup)) => Ok(positive(&lookup, kind)),
            Ok(Err(error)) => negative(name, error),
            Err(_) => Err(failed("no answer in time".into())),
        };
        let result = match &found {
            Ok(answer) if answer.records.is_empty() => "none",
            Ok(_) => "found",
            Err(LookupError::Bogus(_)) => "bogus",
            Err(LookupError::Failed { .. }) => "failed",
        };
        self.metrics.dns_lookups.with_label_values(&[result]).inc();
        found
    }

    async fn plain_or_proven(
        &self,
        name: &str,
        kind: RecordType,
        proven: bool,
    ) -> Result<Answer<RData>, LookupError> {
        let validating = if proven { self.validating().await } else { None };
        self.lookup(validating.unwrap_or(&self.plain), name, kind).await
    }
}

impl Resolver for DnsResolver {
    fn mx<'r>(&'r self, domain: &'r str) -> LookupFuture<'r, Mx> {
        Box::pin(async move {
            let answer = self.plain_or_proven(domain, RecordType::MX, true).await?;
            Ok(answer.map(|data| match data {
                RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: host_name(&mx.exchange) }),
                _ => None,
            }))
        })
    }

    fn addresses<'r>(
        &'r self,
        host: &'r str,
        family: AddressFamily,
        proven: bool,
    ) -> LookupFuture<'r, IpAddr> {
        let of_kind = async move |kind| {
            let answer = self.plain_or_proven(host, kind, proven).await?;
            Ok(answer.map(|data| data.ip_addr()))
        };
        Box::pin(async move {
            match family {
                AddressFamily::Ipv4 => of_kind(RecordType::A).await,
                AddressFamily::Ipv6 => of_kind(RecordType::AAAA).await,
                AddressFamily::Any => {
                    let (v6, v4) = futures_util::join!(of_kind(RecordType::AAAA), of_kind(RecordType::A));
                    both(v6, v4)
                }
            }
        })
    }

    fn tlsa<'r>(&'r self, host: &'r str, port: u16) -> LookupFuture<'r, Tlsa> {
        Box::pin(async move {
            let name = format!("_{port}._tcp.{host}");
            let Some(validating) = self.validating().await else {
                // Without proof they mean nothing (RFC 7672 2.2).
                return Ok(Answer::of(Vec::new()));
            };
            let answer = self.lookup(validating, &name, RecordType::TLSA).await?;
            Ok(answer.map(|data| match data {
                RData::TLSA(tlsa) => Some(Tlsa {
                    usage: tlsa.cert_usage.into(),
                    selector: tlsa.selector.into(),
                    matching: tlsa.matching.into(),
                    data: tlsa.cert_data.clone(),
                }),
                _ => None,
            }))
        })
    }

    fn txt<'r>(&'r self, name: &'r str) -> LookupFuture<'r, String> {
        Box::pin(async move {
            let answer = self.lookup(&self.plain, name, RecordType::TXT).await?;
            Ok(answer.map(|data| match data {
                RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
                _ => None,
            }))
        })
    }
}

impl Answer<RData> {
    fn map<T>(self, record: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        let Answer { records, exists, secure, canonical } = self;
        Answer { records: records.iter().filter_map(record).collect(), exists, secure, canonical }
    }
}

/// IPv6 and IPv4 in turn, so that a family that goes nowhere does not use up all tries. One family is enough to
/// go on with when the other cannot be found out.
fn both(
    v6: Result<Answer<IpAddr>, LookupError>,
    v4: Result<Answer<IpAddr>, LookupError>,
) -> Result<Answer<IpAddr>, LookupError> {
    let (v6, v4) = match (v6, v4) {
        (Ok(v6), Ok(v4)) => (v6, v4),
        (Ok(one), Err(error)) | (Err(error), Ok(one)) => {
            let bogus = matches!(error, LookupError::Bogus(_));
            return if one.records.is_empty() || bogus { Err(error) } else { Ok(one) };
        }
        (Err(error), Err(_)) => return Err(error),
    };
    let most = v6.records.len().max(v4.records.len());
    let records =
        (0..most).flat_map(|index| [v6.records.get(index), v4.records.get(index)]).flatten().copied();
    Ok(Answer {
        records: records.collect(),
        exists: v6.exists || v4.exists,
        secure: v6.secure && v4.secure,
        canonical: v4.canonical.or(v6.canonical),
    })
}

fn positive(lookup: &Lookup, kind: RecordType) -> Answer<RData> {
    let answers = || lookup.answers().iter().take(RECORDS_MAX);
    let canonical = answers()
        .filter_map(|record| match &record.data {
            RData::CNAME(cname) => Some(host_name(cname)),
            _ => None,
        })
        .next_back();
    let counts = |kind: RecordType| kind != RecordType::RRSIG;
    Answer {
        records: answers()
            .filter(|record| record.record_type() == kind)
            .map(|record| record.data.clone())
            .collect(),
        exists: true,
        secure: answers()
            .filter(|record| counts(record.record_type()))
            .all(|record| record.proof == Proof::Secure),
        canonical,
    }
}

/// What an error says: that there is nothing, or that nobody knows.
fn negative(name: &str, error: NetError) -> Result<Answer<RData>, LookupError> {
    let nothing = |code: ResponseCode, secure: bool| {
        Ok(Answer { records: Vec::new(), exists: code != ResponseCode::NXDomain, secure, canonical: None })
    };
    match &error {
        NetError::Dns(NetDnsError::NoRecordsFound(none))
            if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
        {
            nothing(none.response_code, is_proven(none))
        }
        NetError::Dns(NetDnsError::Nsec { response, proof, .. }) => match proof {
            Proof::Secure | Proof::Insecure => nothing(response.response_code, *proof == Proof::Secure),
            Proof::Bogus | Proof::Indeterminate => Err(LookupError::Bogus(name.to_owned())),
        },
        NetError::Dns(NetDnsError::DnssecBogus) => Err(LookupError::Bogus(name.to_owned())),
        NetError::Dns(NetDnsError::NoRecordsFound(none)) => Err(LookupError::Failed {
            name: name.to_owned(),
            problem: format!("the name servers answer {}", none.response_code),
        }),
        NetError::Dns(NetDnsError::ResponseCode(code)) => Err(LookupError::Failed {
            name: name.to_owned(),
            problem: format!("the name servers answer {code}"),
        }),
        NetError::Timeout => {
            Err(LookupError::Failed { name: name.to_owned(), problem: "no answer in time".into() })
        }
        error => Err(LookupError::Failed { name: name.to_owned(), problem: error.to_string() }),
    }
}

/// Whether DNSSEC proves that there is nothing. When it should and does not, there is another error.
fn is_proven(none: &NoRecords) -> bool {
    let records = none.authorities.as_deref().unwrap_or_default();
    let denies = |record: &&Record| matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
    let mut denials = records.iter().filter(denies).peekable();
    denials.peek().is_some() && denials.all(|denial| denial.proof == Proof::Secure)
}

/// Whether the root's own name servers can be proven.
async fn passes_signatures(resolver: &TokioResolver) -> bool {
    let asked = tokio::time::timeout(LOOKUP_TIMEOUT, resolver.lookup(Name::root(), RecordType::NS)).await;
    matches!(asked, Ok(Ok(lookup)) if positive(&lookup, RecordType::NS).secure)
}

/// Lower case, without the final dot.
fn host_name(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    text.truncate(text.trim_end_matches('.').len());
    text
}

/// The name servers of the settings, or those of the system.
///
/// # Errors
/// [`DnsError::System`].
pub fn name_servers(settings: &config::Dns) -> Result<ResolverConfig, DnsError> {
    match settings.nameservers.as_slice() {
        [] => Ok(system_conf::read_system_conf().map_err(DnsError::System)?.0),
        servers => Ok(ResolverConfig::from_name_servers(servers.iter().map(server).collect())),
    }
}

/// A name server, asked over UDP, and over TCP where that does not suffice.
pub(crate) fn server(address: &SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

fn options(validate: bool) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = SERVER_TIMEOUT;
    options.attempts = RETRIES;
    options.edns0 = true;
    options.validate = validate;
    options.cache_size = CACHE_ENTRIES;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = LOOKUPS_MAX;
    options.preserve_intermediates = true;
    options
}

fn read_anchors(path: &Path) -> Result<TrustAnchors, DnsError> {
    TrustAnchors::from_file(path)
        .map_err(|error| DnsError::TrustAnchors { path: path.to_owned(), problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    const V4: [IpAddr; 2] =
        [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V4(std::net::Ipv4Addr::BROADCAST)];

    fn found(records: &[IpAddr], secure: bool) -> Result<Answer<IpAddr>, LookupError> {
        Ok(Answer { secure, ..Answer::of(records.to_vec()) })
    }

    fn failed() -> Result<Answer<IpAddr>, LookupError> {
        Err(LookupError::Failed { name: "mx.example".into(), problem: "no answer in time".into() })
    }

    fn bogus() -> Result<Answer<IpAddr>, LookupError> {
        Err(LookupError::Bogus("mx.example".into()))
    }

    #[test]
    fn families_take_turns_and_one_is_enough_where_the_other_cannot_be_found_out() {
        for (v6, v4, expected) in [
            (found(&[V6], true), found(&V4, true), found(&[V6, V4[0], V4[1]], true)),
            (found(&[V6], true), found(&V4, false), found(&[V6, V4[0], V4[1]], false)),
            (found(&[], true), found(&V4, true), found(&V4, true)),
            (failed(), found(&V4, true), found(&V4, true)),
            (found(&[V6], false), failed(), found(&[V6], false)),
            (failed(), found(&[], true), failed()),
            (failed(), failed(), failed()),
            // What fails validation is not to be got around by asking for something else.
            (bogus(), found(&V4, true), bogus()),
        ] {
            assert_eq!(both(v6.clone(), v4.clone()), expected, "{v6:?} {v4:?}");
        }
    }

    #[test]
    fn that_there_is_nothing_is_an_answer_and_silence_is_not() {
        let nothing = |exists| Ok((exists, 0));
        for (error, expected) in [
            (NetError::Timeout, Err(())),
            (NetError::Dns(NetDnsError::ResponseCode(ResponseCode::ServFail)), Err(())),
            (NetError::Dns(NetDnsError::ResponseCode(ResponseCode::Refused)), Err(())),
            (no_records(ResponseCode::NXDomain), nothing(false)),
            (no_records(ResponseCode::NoError), nothing(true)),
            (no_records(ResponseCode::ServFail), Err(())),
            (NetError::Dns(NetDnsError::DnssecBogus), Err(())),
        ] {
            let shown = format!("{error:?}");
            let found = negative("x.example", error).map(|answer| (answer.exists, answer.records.len()));
            assert_eq!(found.map_err(drop), expected, "{shown}");
        }
    }

    fn no_records(code: ResponseCode) -> NetError {
        let query = hickory_resolver::proto::op::Query::query(Name::root(), RecordType::MX);
        hickory_resolver::net::NoRecords::new(query, code).into()
    }
}

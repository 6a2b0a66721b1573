//! Who a received message is really from: SPF, DKIM, DMARC and ARC, by mail-auth.

mod discarded;
mod dmarc;
mod received;
mod results;
mod signatures;
mod spf;

pub(super) use received::{AuthorsFault, Received};
pub(super) use results::{Demand, Results, field};

use crate::app::Mode;
use actors::dns::{DnsError, name_servers};
use config::Dns;
use hickory_resolver::config::{ResolveHosts, ResolverOpts};
use mail::{Domain, ReversePath};
use mail_auth::{MessageAuthenticator, SpfResult};
use results::{Identity, SpfCheck, Verdict};
use signatures::outcome_of_arc;
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// For one answer of one server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(4);
/// How often servers are asked again.
const RETRIES: usize = 1;
/// For each of SPF, DKIM and ARC as a whole. They run side by side.
const METHOD_TIME: Duration = Duration::from_secs(15);
/// For DMARC, which follows. It has a time of its own, so that name servers of a sender who lets them hang do not keep
/// us from learning the policy of somebody else.
const POLICY_TIME: Duration = Duration::from_secs(8);
/// Lookups under way at a time; the others wait.
const LOOKUPS_MAX: usize = 256;
/// Answers remembered, by name and type, as long as they may be. mail-auth could remember what it made of them, but by
/// name alone: a domain that includes somebody's `_dmarc` name in its SPF record would have us forget that policy.
const CACHE_ENTRIES: u64 = 20_000;

/// Looks into messages that were received.
pub(super) struct Authenticator(Option<MessageAuthenticator>);

/// Who brings a message.
pub(super) struct Bringer<'a> {
    /// The address of the client.
    pub(super) remote: IpAddr,
    /// What it said in EHLO.
    pub(super) name: &'a str,
    /// MAIL FROM.
    pub(super) mail_from: &'a ReversePath,
    /// Our own name.
    pub(super) hostname: &'a Domain,
}

impl Authenticator {
    /// With the name servers of the settings, or those of the system. A developer's server has no network, and asks
    /// nobody.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub(super) fn new(mode: Mode, settings: &Dns) -> Result<Authenticator, DnsError> {
        match mode {
            Mode::Local => Ok(Authenticator(None)),
            Mode::Serve => {
                let servers = name_servers(settings)?;
                let authenticator = MessageAuthenticator::new(servers, options()).map_err(DnsError::Setup)?;
                Ok(Authenticator(Some(authenticator)))
            }
        }
    }

    /// Whether anybody is asked.
    pub(super) fn asks(&self) -> bool {
        self.0.is_some()
    }

    /// What there is to say about a message; `None` when nobody is asked. Takes half a minute at most.
    pub(super) async fn verify(&self, bringer: Bringer<'_>, received: &Received) -> Option<Results> {
        let authenticator = self.0.as_ref()?;
        // Of two kilobytes and more.
        Some(Box::pin(verify(authenticator, bringer, received)).await)
    }
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = SERVER_TIMEOUT;
    options.attempts = RETRIES;
    options.edns0 = true;
    options.cache_size = CACHE_ENTRIES;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = LOOKUPS_MAX;
    options
}

async fn verify(by: &MessageAuthenticator, bringer: Bringer<'_>, received: &Received) -> Results {
    let identity = identity(&bringer);
    let mut message = received.message().unwrap_or_default();
    let refused = signatures::take_out_unacceptable(&mut message);
    let (spf, signatures, arc) = tokio::join!(
        spf(by, &identity, &bringer),
        signatures::verify(by, &message),
        signatures::verify_chain(by, &message),
    );
    let dmarc = match received.authors() {
        Ok(domains) => {
            let found = dmarc::Found { signatures: &signatures, identity: &identity, spf };
            dmarc::check(by, domains, found).await
        }
        Err(fault) => dmarc::without_authors(*fault),
    };
    Results {
        spf: SpfCheck { verdict: spf.into(), identity },
        dkim: signatures::checks(&message, &signatures, refused),
        dmarc,
        arc: outcome_of_arc(&arc),
    }
}

/// The null path stands for the client itself (RFC 7208, section 2.4).
fn identity(bringer: &Bringer<'_>) -> Identity {
    match bringer.mail_from {
        ReversePath::Address(address) => Identity::MailFrom(address.clone()),
        ReversePath::Null => Identity::Helo(helo(bringer)),
    }
}

fn helo(bringer: &Bringer<'_>) -> Option<Domain> {
    Domain::parse(bringer.name).ok().filter(|domain| !domain.is_literal())
}

async fn spf(by: &MessageAuthenticator, identity: &Identity, bringer: &Bringer<'_>) -> SpfResult {
    let Some(domain) = identity.domain() else { return SpfResult::None };
    let helo = helo(bringer);
    let asked = spf::Question {
        remote: bringer.remote.to_canonical(),
        domain: domain.as_ascii(),
        helo: helo.as_ref().map_or(domain, |helo| helo).as_ascii(),
        hostname: bringer.hostname.as_ascii(),
        mail_from: bringer.mail_from,
    };
    timeout(METHOD_TIME, spf::check(by, asked)).await.unwrap_or(SpfResult::TempError)
}

impl From<SpfResult> for Verdict {
    fn from(result: SpfResult) -> Verdict {
        match result {
            SpfResult::Pass => Verdict::Pass,
            SpfResult::Fail => Verdict::Fail,
            SpfResult::SoftFail => Verdict::SoftFail,
            SpfResult::Neutral => Verdict::Neutral,
            SpfResult::TempError => Verdict::TempError,
            SpfResult::PermError => Verdict::PermError,
            SpfResult::None => Verdict::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::UdpSocket;

    fn received(content: &str) -> Received {
        Received::read(Bytes::copy_from_slice(content.as_bytes()), true)
    }

    async fn verify(nameserver: std::net::SocketAddr, content: &str) -> Results {
        let settings = Dns { nameservers: vec![nameserver], ..config::Settings::defaults().dns };
        let authenticator = Authenticator::new(Mode::Serve, &settings).unwrap();
        let bringer = Bringer {
            remote: [192, 0, 2, 1].into(),
            name: "client.example",
            mail_from: &"a@example.org".parse().unwrap(),
            hostname: &"mx.example".parse().unwrap(),
        };
        authenticator.verify(bringer, &received(content)).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn name_servers_that_never_answer_cost_half_a_minute_at_most() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let signature = |number: usize| {
            // Of an empty body.
            let bh = "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=";
            format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d=s{number}.example; s=s; h=From; bh={bh}; b=c2ln\r\n"
            )
        };
        let signatures: String = (0..10).map(signature).collect();
        let begun = tokio::time::Instant::now();
        let content = format!("{signatures}From: a@example.org\r\n\r\n");
        let results = verify(silent.local_addr().unwrap(), &content).await;
        assert!(begun.elapsed() <= METHOD_TIME + POLICY_TIME, "{:?}", begun.elapsed());
        assert_eq!(results.spf.verdict, Verdict::TempError, "{results}");
        assert_eq!(results.dmarc.outcome.verdict, Verdict::TempError, "{results}");
        assert_eq!(results.dkim.len(), 10);
        for signature in &results.dkim {
            assert_eq!(signature.outcome.verdict, Verdict::TempError, "{results}");
        }
        assert_eq!(results.demand(), Demand::Accept);
    }

    #[tokio::test]
    async fn a_developers_server_asks_nobody() {
        let authenticator = Authenticator::new(Mode::Local, &config::Settings::defaults().dns).unwrap();
        let (hostname, mail_from) = ("mx.example".parse().unwrap(), ReversePath::Null);
        let bringer =
            Bringer { remote: [127, 0, 0, 1].into(), name: "c", mail_from: &mail_from, hostname: &hostname };
        assert!(!authenticator.asks());
        assert_eq!(authenticator.verify(bringer, &received("From: a@example.org\r\n\r\n")).await, None);
    }
}

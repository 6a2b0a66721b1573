//! MTA-STS (RFC 8461): which policy holds for a domain. Policies are kept in the store, so that one that was seen
//! holds until its end, whatever happens to its server and its record meanwhile.

mod fetch;
mod policy;

pub use fetch::{HttpsFetcher, PolicyFetcher};
pub(super) use policy::allows;

use crate::{Clock, StoreWriter, dns::Resolver};
use mail::Domain;
use policy::{Policy, record_id};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use store::{
    Store,
    records::{StsMode, StsPolicyRecord},
};
use tokio::{sync::Mutex, time::Instant};

/// How long to wait after a policy could not be had (RFC 8461 3.3 suggests at least five minutes).
const FETCH_AGAIN: Duration = Duration::from_secs(300);
/// Domains that share a lock, and failures remembered behind each.
const LOCKS: usize = 64;
const FAILURES_MAX: usize = 1000;

/// What is known of policies, and how to learn more.
pub(crate) struct StsPolicies {
    store: Store,
    writer: StoreWriter,
    clock: Clock,
    resolver: Arc<dyn Resolver>,
    fetcher: Arc<dyn PolicyFetcher>,
    /// Whoever holds a domain's lock fetches; behind it, what could not be fetched, and when.
    locks: [Mutex<HashMap<Domain, Failure>>; LOCKS],
}

struct Failure {
    /// The record's id then.
    id: String,
    at: Instant,
}

impl StsPolicies {
    pub(crate) fn new(
        store: Store,
        writer: StoreWriter,
        clock: Clock,
        resolver: Arc<dyn Resolver>,
        fetcher: Arc<dyn PolicyFetcher>,
    ) -> StsPolicies {
        StsPolicies {
            store,
            writer,
            clock,
            resolver,
            fetcher,
            locks: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// The policy that is to be enforced for mail to a domain; its `mx` are all that may get it.
    pub(crate) async fn enforced(&self, domain: &Domain) -> Option<StsPolicyRecord> {
        let policy = self.current(domain).await?;
        (policy.mode == StsMode::Enforce).then_some(policy)
    }

    async fn current(&self, domain: &Domain) -> Option<StsPolicyRecord> {
        let texts = self.resolver.txt(&format!("_mta-sts.{}", domain.as_ascii())).await;
        let known = self.known(domain);
        // Without a record, and while none can be looked up, what is known still holds (RFC 8461 5.1).
        let Some(id) = texts.as_ref().ok().and_then(|answer| record_id(&answer.records)) else {
            return known;
        };
        if known.as_ref().is_some_and(|known| known.id == id) {
            return known;
        }
        self.renew(domain, id).await.or(known)
    }

    fn known(&self, domain: &Domain) -> Option<StsPolicyRecord> {
        let policy = self.store.read(|view| view.sts_policy(domain)).unwrap_or_else(|error| {
            tracing::error!(%error, "an MTA-STS policy cannot be read");
            None
        });
        policy.filter(|policy| policy.expires > self.clock.now())
    }

    /// Fetches and keeps the policy with that id.
    async fn renew(&self, domain: &Domain, id: &str) -> Option<StsPolicyRecord> {
        let mut failures = self.lock(domain).lock().await;
        if let Some(known) = self.known(domain).filter(|known| known.id == id) {
            return Some(known);
        }
        if failures.get(domain).is_some_and(|failure| failure.id == id && failure.at.elapsed() < FETCH_AGAIN)
        {
            return None;
        }
        let fetched = self.fetcher.fetch(domain.as_ascii()).await;
        let policy = match fetched.and_then(|text| Policy::parse(&text).map_err(str::to_owned)) {
            Ok(policy) => policy,
            Err(problem) => {
                tracing::info!(destination = domain.as_ascii(), problem, "an MTA-STS policy cannot be had");
                if failures.len() >= FAILURES_MAX {
                    failures.retain(|_, failure| failure.at.elapsed() < FETCH_AGAIN);
                }
                if failures.len() < FAILURES_MAX {
                    failures.insert(domain.clone(), Failure { id: id.to_owned(), at: Instant::now() });
                }
                return None;
            }
        };
        failures.remove(domain);
        let now = self.clock.now();
        let record = StsPolicyRecord {
            id: id.to_owned(),
            mode: policy.mode,
            mx: policy.mx,
            fetched: now,
            expires: now.after(policy.max_age),
        };
        if let Err(error) = self.writer.put_sts_policy(domain.clone(), record.clone()).await {
            // It holds for this time all the same.
            tracing::warn!(%error, "an MTA-STS policy cannot be kept");
        }
        Some(record)
    }

    fn lock(&self, domain: &Domain) -> &Mutex<HashMap<Domain, Failure>> {
        let mut hasher = DefaultHasher::new();
        domain.hash(&mut hasher);
        &self.locks[(hasher.finish() % LOCKS as u64) as usize]
    }
}

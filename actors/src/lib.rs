//! What happens, and when: the actors, their timers and their outgoing sockets. The wiring is on this page.

mod clock;
mod delivery;
pub mod dns;
mod event_log;
mod exit;
mod gate;
mod hints;
mod janitor;
mod metrics;
mod operations;
mod pace;
mod schedule;
mod store_writer;
mod supervisor;
mod suppressions;
#[cfg(test)]
mod tests;
mod timer;
mod webhooks;

pub use clock::Clock;
pub use delivery::{
    AwsLc, ConvertError, DeliveryOptions, DeliverySnapshot, Dialer, HttpsFetcher, Journey, NextHop,
    PolicyFetcher, Proxy, Reporter, RetrySchedule, Router, Stream, TcpDialer, seven_bit,
};
pub use event_log::{EventLog, EventReaderLimits, EventWait, Heard, NoPlace};
pub use gate::Gate;
pub use janitor::JanitorOptions;
pub use metrics::Metrics;
pub use operations::{Operation, Operations, Part, Stretch};
pub use store_writer::{Accepted, StoreWriter, WriteError, WriterLimits};
pub use supervisor::SupervisorSnapshot;
pub use suppressions::{ImportEntry, Imported, Suppressions};
pub use webhooks::{
    AddressGuard, HookAnswer, HookDeed, HookError, HookGate, HookOperations, HookRequest, HttpPoster, Poster,
    ResentPart, RetryAfter, TestCall, TestCallError, UrlCalls, WebhookOptions, WebhookSnapshot, signature,
};

use actix::{Actor, Addr, Arbiter};
use hints::Hints;
use rustls_pki_types::CertificateDer;
use std::{num::NonZero, sync::Arc, time::Duration};
use store::{Store, Writer};
use store_writer::WriterHints;
use supervisor::{Placement, Shutdown, Snapshot, SnapshotOfWebhooks, Supervisor, SupervisorDeps};
use tokio::sync::{Semaphore, watch};

/// What the actors are given.
pub struct Options {
    /// How they tell the time.
    pub clock: Clock,
    /// Where they connect.
    pub router: Router,
    /// How they connect.
    pub dialer: Arc<dyn Dialer>,
    /// Who knows where names lead.
    pub resolver: Arc<dyn dns::Resolver>,
    /// How MTA-STS policies are fetched.
    pub policies: Arc<dyn PolicyFetcher>,
    /// Certificates of authorities that are trusted besides those of the system.
    pub authorities: Vec<CertificateDer<'static>>,
    /// How they make webhook calls.
    pub poster: Arc<dyn Poster>,
    /// Bounds of the store writer.
    pub writer: WriterLimits,
    /// How they deliver.
    pub delivery: DeliveryOptions,
    /// How hooks are called.
    pub webhooks: WebhookOptions,
    /// What is removed when.
    pub janitor: JanitorOptions,
    /// How many may wait for events.
    pub event_readers: EventReaderLimits,
    /// Where they count.
    pub metrics: Metrics,
    /// Threads for delivery and webhooks.
    pub threads: Threads,
}

/// Where the actors run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All on the arbiter that starts them, so that a test's paused clock rules them.
    Current,
    /// On so many of their own, and the writer on one more.
    Own(NonZero<usize>),
}

/// The ways to the actors. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    /// Reads.
    pub store: Store,
    /// Writes.
    pub writer: StoreWriter,
    /// Does with the queue what operators want.
    pub operations: Operations,
    /// Does with hooks what people want.
    pub hooks: HookOperations,
    /// Changes suppression lists by hand.
    pub suppressions: Suppressions,
    /// Where readers wait for events.
    pub event_log: EventLog,
    /// Tells the time.
    pub clock: Clock,
    /// Says which delivery actor sends to a recipient.
    pub router: Router,
    supervisor: Addr<Supervisor>,
}

/// Starts the actors.
pub fn start(store: Store, writer: Writer, options: Options) -> Handles {
    let Options { clock, router, metrics, .. } = options;
    let event_log = EventLog::new(options.event_readers, metrics.event_readers_waiting.clone());
    let hints =
        WriterHints { destinations: Hints::default(), urls: Hints::default(), event_log: event_log.clone() };
    let (alone, placement) = match options.threads {
        Threads::Current => (None, Placement::Here),
        Threads::Own(threads) => {
            let arbiters = (0..threads.get()).map(|_| Arbiter::new().handle()).collect();
            (Some(Arbiter::new().handle()), Placement::On(arbiters))
        }
    };
    let writer = StoreWriter::start(
        store.clone(),
        writer,
        options.writer,
        hints.clone(),
        metrics.clone(),
        alone.as_ref(),
    );
    let reporter =
        Reporter::new(store.clone(), &options.delivery.ehlo_name, options.delivery.schedule.clone());
    let delivery = Arc::new(delivery::Deps {
        store: store.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        dialer: options.dialer,
        sts: delivery::StsPolicies::new(
            store.clone(),
            writer.clone(),
            clock.clone(),
            options.resolver.clone(),
            options.policies,
        ),
        resolver: options.resolver,
        tls: delivery::TlsClient::new(delivery::Roots::system_and(&options.authorities)),
        router: router.clone(),
        reporter: reporter.clone(),
        lanes: delivery::Lanes::new(
            options.delivery.connections_max,
            options.delivery.connections_waiting_max,
        ),
        content_kib: Arc::new(Semaphore::new((options.delivery.content_bytes_max / 1024).max(1))),
        options: options.delivery,
        metrics: metrics.clone(),
    });
    let hook_operations = HookOperations {
        store: store.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        poster: options.poster.clone(),
    };
    let webhooks = Arc::new(webhooks::Deps::new(
        store.clone(),
        writer.clone(),
        clock.clone(),
        options.poster,
        options.webhooks,
        hints.urls,
        metrics.clone(),
    ));
    let (address, suppressions_address) = watch::channel(None);
    let suppressions = suppressions::SuppressionDeps {
        writer: writer.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        address: Arc::new(address),
    };
    let operations = Operations {
        store: store.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        reporter,
    };
    let janitor = janitor::JanitorDeps {
        store: store.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        metrics,
        options: options.janitor,
    };
    let deps = SupervisorDeps {
        delivery,
        webhooks,
        suppressions,
        janitor,
        hints: hints.destinations,
        placement: placement.clone(),
    };
    let supervisor = match placement {
        Placement::Here => Supervisor::new(deps).start(),
        Placement::On(arbiters) => Supervisor::start_in_arbiter(&arbiters[0], move |_| Supervisor::new(deps)),
    };
    Handles {
        store,
        writer,
        operations,
        hooks: hook_operations,
        suppressions: Suppressions::new(suppressions_address),
        event_log,
        clock,
        router,
        supervisor,
    }
}

/// Lists come without a snapshot rather than late.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(1);

impl Handles {
    /// Stops delivering: nothing new is begun, and what runs has until the end of `grace` to finish. What is left
    /// is simply still due at the next start. Nobody waits for events any more.
    pub async fn shutdown(&self, grace: Duration) {
        self.event_log.close();
        let _ = self.supervisor.send(Shutdown { grace }).await;
    }

    /// What the delivery actors are doing; `None` when the supervisor is gone.
    pub async fn snapshot(&self) -> Option<SupervisorSnapshot> {
        self.supervisor.send(Snapshot).await.ok()
    }

    /// What the webhook actor is doing; `None` when it does not say so within a second.
    pub async fn webhook_snapshot(&self) -> Option<WebhookSnapshot> {
        let asked = self.supervisor.send(SnapshotOfWebhooks).timeout(SNAPSHOT_TIMEOUT);
        asked.await.ok().flatten()
    }
}

#[cfg(test)]
impl Handles {
    /// Breaks the delivery actor of a destination, as a bug would.
    async fn break_delivery(&self, destination: &str) {
        let child = exit::ChildId::Delivery(destination.into());
        self.supervisor.send(supervisor::Break(child)).await.expect("the supervisor lives");
    }
}

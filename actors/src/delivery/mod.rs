//! The delivery actor: it delivers the messages of one destination.

mod attempt;
mod connection;
mod convert;
mod dial;
mod exchange;
mod lanes;
mod login;
mod mta_sts;
mod options;
mod plan;
mod report;
mod route;
mod run;
mod tls;
mod tls_policy;
mod walk;

pub use convert::{ConvertError, seven_bit};
pub use dial::{Dialer, NextHop, Proxy, Stream, TcpDialer};
pub(crate) use lanes::Lanes;
pub use login::AwsLc;
pub(crate) use mta_sts::StsPolicies;
pub use mta_sts::{HttpsFetcher, PolicyFetcher};
pub use options::DeliveryOptions;
pub use plan::RetrySchedule;
pub use report::Reporter;
pub use route::{Journey, Router};
pub(crate) use tls::{Roots, TlsClient};

use crate::{
    Clock, Metrics, StoreWriter,
    dns::Resolver,
    exit::ExitNotice,
    pace::{Health, Pace},
    timer::{Timer, instant_of},
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use attempt::{Job, Placed};
use connection::Connection;
use lanes::Busy;
use mail::QueueId;
use options::Bounds;
use run::{Claim, Slot, run, settle};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use store::{Decision, Settlement, Store, StoreError, View, records::QueueRecord};
use tokio::{sync::Semaphore, time::Instant};

/// There may be work.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Start nothing more, and go once all that runs has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// What the actor is doing.
#[derive(Message)]
#[rtype(result = "DeliverySnapshot")]
pub(crate) struct Snapshot;

/// An attempt ended; its outcome is being settled.
#[derive(Message)]
#[rtype(result = "()")]
struct Transacted {
    number: u64,
    health: Health,
    connection: Option<Box<Connection>>,
    /// Recipients that the host takes in one transaction, where that is known.
    recipients_max: Option<usize>,
}

/// Messages are settled, or their task broke down.
#[derive(Message)]
#[rtype(result = "()")]
struct Released {
    ids: Vec<QueueId>,
    /// Some of them are to be tried again.
    put_off: bool,
}

/// The actor's one timer.
#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// What a delivery actor is doing, for people and tests.
#[derive(Clone, Debug, Serialize, actix::MessageResponse)]
pub struct DeliverySnapshot {
    /// Its destination.
    pub destination: String,
    /// Attempts that run now.
    pub running: usize,
    /// Connections that wait for the next message.
    pub idle_connections: usize,
    /// Connections allowed at the same time now.
    pub concurrency: usize,
    /// Nothing is tried for so many milliseconds more, because the destination could not be reached.
    pub paused_ms: u64,
    /// Messages taken up: waiting here, under way, or being settled.
    pub claimed: usize,
}

/// How long to wait after the queue could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// An attempt that takes longer no longer keeps others of its destination waiting: most often it is one host of
/// several that hangs.
const SLOW: Duration = Duration::from_secs(30);

/// What all delivery actors share.
pub(crate) struct Deps {
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) sts: StsPolicies,
    pub(crate) tls: TlsClient,
    pub(crate) router: Router,
    pub(crate) reporter: Reporter,
    pub(crate) lanes: Lanes,
    /// Room for the contents of messages under way, in KiB.
    pub(crate) content_kib: Arc<Semaphore>,
    pub(crate) options: DeliveryOptions,
    pub(crate) metrics: Metrics,
}

pub(crate) struct DeliveryActor {
    destination: String,
    deps: Arc<Deps>,
    bounds: Bounds,
    pace: Pace,
    /// Recipients in one transaction, as far as the host is known.
    recipients_max: usize,
    /// Due messages that were read and not begun.
    ready: VecDeque<QueueId>,
    /// Messages in `ready`, under way, or being settled.
    claimed: HashSet<QueueId>,
    /// Due messages that cannot be read; the next life of the actor tries again.
    aside: HashSet<QueueId>,
    /// Attempts under way by their number.
    running: BTreeMap<u64, Placed>,
    begun: u64,
    /// There is something under way.
    busy: Option<Busy>,
    #[expect(clippy::vec_box, reason = "they go into tasks as they are, and back")]
    idle: Vec<Box<Connection>>,
    timer: Timer,
    /// When there will be something to read; known after a look that found nothing due.
    next_look: Option<Instant>,
    idle_since: Instant,
    draining: bool,
    /// More may be due than was read: too much was taken up.
    throttled: bool,
    exit: ExitNotice,
}

impl DeliveryActor {
    pub(crate) fn new(destination: String, deps: Arc<Deps>, exit: ExitNotice) -> DeliveryActor {
        let (transport, domain) = route::split(&destination);
        let bounds = deps.options.bounds(transport, domain);
        let pace = Pace::new(deps.options.concurrency_start, bounds.connections)
            .with_rate(bounds.per_minute, Instant::now());
        DeliveryActor {
            destination,
            deps,
            bounds,
            pace,
            recipients_max: bounds.recipients,
            ready: VecDeque::new(),
            claimed: HashSet::new(),
            aside: HashSet::new(),
            next_look: None,
            running: BTreeMap::new(),
            begun: 0,
            busy: None,
            idle: Vec::new(),
            timer: Timer::default(),
            idle_since: Instant::now(),
            draining: false,
            throttled: false,
            exit,
        }
    }

    /// Starts what can be started, and sets the timer for the rest.
    fn advance(&mut self, ctx: &mut Context<Self>) {
        self.drop_old_connections();
        self.next_look = None;
        if !self.draining
            && let Err(error) = self.start_due(ctx)
        {
            tracing::error!(destination = self.destination, %error, "the queue cannot be read");
            self.next_look = Some(Instant::now() + READ_AGAIN);
        }
        match (self.running.is_empty(), &self.busy) {
            (true, _) => self.busy = None,
            (false, None) => self.busy = Some(self.deps.lanes.busy()),
            (false, Some(_)) => {}
        }
        if self.is_idle() {
            if self.draining {
                self.leave(ctx);
                return;
            }
        } else {
            self.idle_since = Instant::now();
        }
        self.set_timer(ctx);
    }

    fn start_due(&mut self, ctx: &mut Context<Self>) -> Result<(), StoreError> {
        while self.may_start(Instant::now()) {
            if self.ready.is_empty() {
                // Messages that need no connection, being suppressed, are bounded by what is not settled yet.
                self.throttled = self.claimed.len() >= self.deps.options.due_batch_max;
                if self.throttled || !self.refill()? {
                    return Ok(());
                }
            }
            let deps = self.deps.clone();
            match deps.store.read(|view| Ok(self.take(view)))? {
                Taken::Job(job) => self.start(job, ctx),
                Taken::Suppressed(id) => self.settle_without_attempt(id, Decision::Suppressed, ctx),
                Taken::Moved(id, destination) => {
                    self.settle_without_attempt(id, Decision::Move { destination }, ctx);
                }
                Taken::Unreadable(id, error) => {
                    tracing::error!(message.id = %id, %error, "a queued message cannot be read; it is left aside");
                    self.claimed.remove(&id);
                    self.aside.insert(id);
                }
                Taken::Nothing => {}
            }
        }
        Ok(())
    }

    /// Whether pace and places allow another attempt.
    fn may_start(&mut self, now: Instant) -> bool {
        let quick = self
            .running
            .values()
            .filter(|placed| placed.since().is_none_or(|since| now - since < SLOW))
            .count();
        let limit = self.pace.limit().min(self.deps.lanes.share());
        quick < limit
            && self.running.len() < self.bounds.connections
            && self.pace.paused_until(now).is_none()
            && self.pace.rate_until(now).is_none()
    }

    /// Reads due messages; whether there were any. When there were none, `next_look` says when there will be.
    fn refill(&mut self) -> Result<bool, StoreError> {
        let now = self.deps.clock.now();
        let limit = self.deps.options.due_batch_max;
        let (claimed, aside) = (&self.claimed, &self.aside);
        let (due, next) = self.deps.store.read(|view| {
            let skip = |id| claimed.contains(&id) || aside.contains(&id);
            let due = view.due_messages(&self.destination, now, limit, skip)?;
            // The same moment divides what is due from what is not yet, so that nothing falls in between.
            let next =
                if due.is_empty() { view.next_message_due(&self.destination, Some(now))? } else { None };
            Ok((due, next))
        })?;
        self.next_look = next.map(|at| instant_of(at, now));
        self.claimed.extend(&due);
        self.ready.extend(due);
        Ok(!self.ready.is_empty())
    }

    /// Takes the next message, and those that can go with it.
    fn take(&mut self, view: &View<'_>) -> Taken {
        let Some(id) = self.ready.pop_front() else { return Taken::Nothing };
        match self.sendable(view, id) {
            Ok(Sendable::Yes(first)) => {
                let mut messages = vec![(id, *first)];
                while messages.len() < self.recipients_max
                    && let Some(companion) = self.companion(view, &messages)
                {
                    messages.push(companion);
                }
                Taken::Job(Job { messages, placed: Placed::default() })
            }
            Ok(Sendable::Suppressed) => Taken::Suppressed(id),
            Ok(Sendable::Elsewhere(destination)) => Taken::Moved(id, destination),
            Ok(Sendable::No) => {
                self.claimed.remove(&id);
                Taken::Nothing
            }
            Err(error) => Taken::Unreadable(id, error),
        }
    }

    /// Whether a message is still to be sent now: it may have been cancelled, held or put off since it was read.
    fn sendable(&self, view: &View<'_>, id: QueueId) -> Result<Sendable, StoreError> {
        let now = self.deps.clock.now();
        let fresh = view.message(id)?.filter(|message| message.hold.is_none() && message.next_attempt <= now);
        let Some(message) = fresh else { return Ok(Sendable::No) };
        if view.suppression(message.account, &message.recipient)?.is_some() {
            return Ok(Sendable::Suppressed);
        }
        // Routes may have changed, or count only after some attempts.
        let directory = self.deps.store.directory();
        let destination = self.deps.router.destination(&Journey::of(&directory, &message));
        if destination != self.destination {
            return Ok(Sendable::Elsewhere(destination));
        }
        Ok(Sendable::Yes(Box::new(message)))
    }

    /// A ready message that can go in the same transaction as `messages`. Those of one submission have ids in a row,
    /// and stand apart in `ready` where accounts take turns.
    fn companion(
        &mut self,
        view: &View<'_>,
        messages: &[(QueueId, QueueRecord)],
    ) -> Option<(QueueId, QueueRecord)> {
        let ((last, _), (_, first)) = (messages.last()?, messages.first()?);
        // With a FromID in it, a return path is one message's own.
        if first.from_id.is_some() {
            return None;
        }
        let ready = self.ready.iter().enumerate().filter(|(_, id)| *id > last);
        let (place, &id) = ready.min_by_key(|(_, id)| **id)?;
        // One that cannot be read goes alone, and is heard of then.
        let Ok(Sendable::Yes(message)) = self.sendable(view, id) else { return None };
        let fits = message.content == first.content
            && message.mail_from == first.mail_from
            && message.transport == first.transport
            && message.require_tls == first.require_tls;
        if !fits {
            return None;
        }
        self.ready.remove(place);
        Some((id, *message))
    }

    fn start(&mut self, job: Job, ctx: &mut Context<Self>) {
        self.begun += 1;
        self.running.insert(self.begun, job.placed.clone());
        self.pace.begin();
        let demand = job.demand();
        let connection = self.idle.iter().rposition(|connection| connection.demand == demand);
        let connection = connection.map(|index| self.idle.remove(index));
        let slot = Slot::new(self.begun, ctx.address());
        actix_rt::spawn(run(self.deps.clone(), self.destination.clone(), job, connection, slot));
    }

    fn settle_without_attempt(&mut self, id: QueueId, decision: Decision, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let settlement = Settlement { id, now, attempt: None, decision, report: None };
        let claim = Claim::new(vec![id], ctx.address(), &self.deps.metrics);
        actix_rt::spawn(settle(self.deps.clone(), vec![settlement], claim));
    }

    fn drop_old_connections(&mut self) {
        let now = Instant::now();
        let options = &self.deps.options;
        let old = |connection: &Connection| {
            now.saturating_duration_since(connection.idle_since) >= options.connection_idle
                || connection.age(now) >= options.connection_age_max
        };
        for connection in self.idle.extract_if(.., |connection| old(connection)) {
            actix_rt::spawn(connection.quit());
        }
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.claimed.is_empty()
    }

    /// One timer, for whatever comes first: a due message, the end of a pause, an idle connection's time, an
    /// attempt that becomes slow, or the actor's own.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let idle_end = self.is_idle().then_some(self.idle_since + self.deps.options.actor_idle);
        let connections =
            self.idle.iter().map(|connection| connection.idle_since + self.deps.options.connection_idle);
        let slow = self.running.values().map(|placed| placed.since().unwrap_or(now) + SLOW);
        let slow = slow.filter(|slow| *slow > now).min();
        let rate = if self.ready.is_empty() { None } else { self.pace.rate_until(now) };
        let next = connections
            .chain(idle_end)
            .chain(self.next_look)
            .chain(self.pace.paused_until(now))
            .chain(slow)
            .chain(rate)
            .min();
        if let Some(next) = next {
            self.timer.set(next, Tick, ctx);
        }
    }

    fn leave(&mut self, ctx: &mut Context<Self>) {
        for connection in self.idle.drain(..) {
            actix_rt::spawn(connection.quit());
        }
        self.exit.clean();
        ctx.stop();
    }
}

/// What is to be done with the next message.
enum Taken {
    Job(Job),
    Suppressed(QueueId),
    Moved(QueueId, String),
    Unreadable(QueueId, StoreError),
    Nothing,
}

/// Whether a message is to be sent.
enum Sendable {
    Yes(Box<QueueRecord>),
    Suppressed,
    /// It belongs to another destination.
    Elsewhere(String),
    No,
}

impl Actor for DeliveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.deps.metrics.actors_alive.with_label_values(&["delivery"]).inc();
        self.advance(ctx);
    }
}

impl Drop for DeliveryActor {
    fn drop(&mut self) {
        self.deps.metrics.actors_alive.with_label_values(&["delivery"]).dec();
    }
}

impl Handler<Wake> for DeliveryActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        self.advance(ctx);
    }
}

impl Handler<Transacted> for DeliveryActor {
    type Result = ();

    fn handle(&mut self, transacted: Transacted, ctx: &mut Context<Self>) {
        self.running.remove(&transacted.number);
        self.pace.learn(transacted.health, Instant::now());
        if let Some(max) = transacted.recipients_max {
            self.recipients_max = max.clamp(1, self.bounds.recipients);
        }
        if let Some(connection) = transacted.connection {
            let worn = connection.transactions() >= self.bounds.messages_per_connection;
            // An idle connection counts among those allowed in all: it must not keep other destinations waiting.
            let scarce = self.deps.lanes.are_scarce();
            if worn || self.draining || (scarce && self.ready.is_empty()) {
                actix_rt::spawn(connection.quit());
            } else {
                self.idle.push(connection);
            }
        }
        self.advance(ctx);
    }
}

impl Handler<Released> for DeliveryActor {
    type Result = ();

    fn handle(&mut self, Released { ids, put_off }: Released, ctx: &mut Context<Self>) {
        for id in ids {
            self.claimed.remove(&id);
        }
        // The timer must know of a retry, even while others run for long.
        if put_off || self.is_idle() || self.throttled {
            self.advance(ctx);
        }
    }
}

impl Handler<Tick> for DeliveryActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.timer.went_off();
        self.advance(ctx);
        if self.is_idle() && self.idle_since.elapsed() >= self.deps.options.actor_idle {
            self.leave(ctx);
        }
    }
}

impl Handler<Drain> for DeliveryActor {
    type Result = ();

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) {
        self.draining = true;
        for id in self.ready.drain(..) {
            self.claimed.remove(&id);
        }
        self.advance(ctx);
    }
}

/// Panic.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Break;

#[cfg(test)]
impl Handler<Break> for DeliveryActor {
    type Result = ();

    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("scripted");
    }
}

impl Handler<Snapshot> for DeliveryActor {
    type Result = DeliverySnapshot;

    fn handle(&mut self, _: Snapshot, _: &mut Context<Self>) -> DeliverySnapshot {
        let now = Instant::now();
        let paused = self.pace.paused_until(now).map_or(Duration::ZERO, |until| until - now);
        DeliverySnapshot {
            destination: self.destination.clone(),
            running: self.running.len(),
            idle_connections: self.idle.len(),
            concurrency: self.pace.limit().min(self.deps.lanes.share()),
            paused_ms: u64::try_from(paused.as_millis()).unwrap_or(u64::MAX),
            claimed: self.claimed.len(),
        }
    }
}

//! The delivery actor: it delivers the messages of one destination.

mod attempt;
mod connection;
mod convert;
mod dial;
mod login;
mod plan;
mod report;
mod route;

pub use convert::{ConvertError, seven_bit};
pub use dial::{Dialer, Stream, TcpDialer};
pub use plan::RetrySchedule;
pub use report::Reporter;
pub use route::{NextHop, Router};

use crate::{
    Clock, Metrics, StoreWriter,
    exit::ExitNotice,
    pace::{Health, Pace},
    store_writer::persist,
    timer::{Timer, instant_of},
};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use attempt::{Attempted, Job};
use connection::Connection;
use mail::QueueId;

use serde::Serialize;
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use store::{
    Decision, Settlement, Store, StoreError, View,
    records::{Attempt, AttemptResult, QueueRecord},
};
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

/// A transaction ended; its outcome is being settled.
#[derive(Message)]
#[rtype(result = "()")]
struct Transacted {
    health: Health,
    connection: Option<Connection>,
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

/// How the delivery actors deliver.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// The name said in EHLO.
    pub ehlo_name: String,
    /// RFC 5321 4.5.3.2.
    pub timeouts: smtp::Timeouts,
    /// The waits between attempts.
    pub schedule: RetrySchedule,
    /// Connections to one destination at first.
    pub concurrency_start: usize,
    /// Connections to one destination at most.
    pub concurrency_max: usize,
    /// Connections in all.
    pub connections_max: usize,
    /// Bytes of message contents in memory at a time; one that is larger goes alone.
    pub content_bytes_max: usize,
    /// Messages over one connection.
    pub connection_messages_max: u32,
    /// How long an unused connection is kept.
    pub connection_idle: Duration,
    /// How long a connection is used at all.
    pub connection_age_max: Duration,
    /// Recipients in one transaction.
    pub recipients_max: usize,
    /// Messages taken up at a time.
    pub due_batch_max: usize,
    /// How long an actor without work stays.
    pub actor_idle: Duration,
}

/// How long to wait after the queue could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What all delivery actors share.
pub(crate) struct Deps {
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) router: Router,
    pub(crate) reporter: Reporter,
    pub(crate) connections: Arc<Semaphore>,
    /// Room for the contents of messages under way, in KiB.
    pub(crate) content_kib: Arc<Semaphore>,
    pub(crate) options: DeliveryOptions,
    pub(crate) metrics: Metrics,
}

pub(crate) struct DeliveryActor {
    destination: String,
    deps: Arc<Deps>,
    pace: Pace,
    /// Due messages that were read and not begun.
    ready: VecDeque<QueueId>,
    /// Messages in `ready`, under way, or being settled.
    claimed: HashSet<QueueId>,
    /// Due messages that cannot be read; the next life of the actor tries again.
    aside: HashSet<QueueId>,
    running: usize,
    idle: Vec<Connection>,
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
        let pace = Pace::new(deps.options.concurrency_start, deps.options.concurrency_max);
        DeliveryActor {
            destination,
            deps,
            pace,
            ready: VecDeque::new(),
            claimed: HashSet::new(),
            aside: HashSet::new(),
            next_look: None,
            running: 0,
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
        while self.running < self.pace.limit() && self.pace.paused_until(Instant::now()).is_none() {
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
                Taken::Suppressed(id) => self.settle_suppressed(id, ctx),
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
                while messages.len() < self.deps.options.recipients_max
                    && let Some(companion) = self.companion(view, &messages)
                {
                    messages.push(companion);
                }
                Taken::Job(Job { messages })
            }
            Ok(Sendable::Suppressed) => Taken::Suppressed(id),
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
        self.running += 1;
        let connection = self.idle.pop();
        actix_rt::spawn(run(self.deps.clone(), self.destination.clone(), job, connection, ctx.address()));
    }

    fn settle_suppressed(&mut self, id: QueueId, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let settlement = Settlement { id, now, attempt: None, decision: Decision::Suppressed, report: None };
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
        self.running == 0 && self.claimed.is_empty()
    }

    /// One timer, for whatever comes first: a due message, the end of a pause, an idle connection's time, or
    /// the actor's own.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let idle_end = self.is_idle().then_some(self.idle_since + self.deps.options.actor_idle);
        let connections =
            self.idle.iter().map(|connection| connection.idle_since + self.deps.options.connection_idle);
        let next = connections.chain(idle_end).chain(self.next_look).chain(self.pace.paused_until(now)).min();
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
    Unreadable(QueueId, StoreError),
    Nothing,
}

/// Whether a message is to be sent.
enum Sendable {
    Yes(Box<QueueRecord>),
    Suppressed,
    No,
}

/// One job from the first byte to the settled outcome. Its own task, so that what breaks it breaks nothing else.
async fn run(
    deps: Arc<Deps>,
    destination: String,
    job: Job,
    idle: Option<Connection>,
    actor: Addr<DeliveryActor>,
) {
    let ids: Vec<_> = job.messages.iter().map(|(id, _)| *id).collect();
    let made: Vec<_> = job.messages.iter().map(|(_, message)| message.attempts.len()).collect();
    let claim = Claim::new(ids.clone(), actor.clone(), &deps.metrics);
    let mut slot = Slot { actor, transacted: Some(Transacted { health: Health::Unknown, connection: None }) };

    let timer = deps.metrics.attempt_seconds.start_timer();
    let attempted = {
        let deps = deps.clone();
        actix_rt::spawn(async move { attempt::attempt(&deps, &destination, job, idle).await }).await
    };
    timer.observe_duration();

    let attempts = match attempted {
        Ok(Attempted { attempts, health, connection }) => {
            slot.transacted = Some(Transacted { health, connection });
            attempts
        }
        Err(error) => {
            tracing::error!(%error, message.id = %ids[0], "an attempt broke down; the message is tried again later");
            vec![failed_attempt(&deps, "internal error", false); ids.len()]
        }
    };
    drop(slot);

    let now = deps.clock.now();
    let mut settlements = Vec::with_capacity(ids.len());
    for ((&id, attempt), made) in ids.iter().zip(attempts).zip(made) {
        let mut settlement = settlement(&deps, id, attempt, made + 1, now);
        settlement.report = deps.reporter.after_attempt(&settlement, made + 1).await;
        settlements.push(settlement);
    }
    settle(deps, settlements, claim).await;
}

fn settlement(deps: &Deps, id: QueueId, attempt: Attempt, made: usize, now: mail::Timestamp) -> Settlement {
    let decision = plan::decide(&attempt.result, made, now, &deps.options.schedule);
    let result = match &attempt.result {
        AttemptResult::Delivered(_) => "delivered",
        AttemptResult::Refused(answer) if answer.code < 500 => "deferred",
        AttemptResult::Refused(_) => "refused",
        AttemptResult::Failed { .. } => "failed",
    };
    deps.metrics.attempts.with_label_values(&[result]).inc();
    tracing::debug!(
        message.id = %id,
        result,
        smtp.code = attempt.result.answer().map_or(0, |answer| answer.code),
        error = attempt.result.error(),
        attempt = made,
        "attempt"
    );
    Settlement { id, now, attempt: Some(attempt), decision, report: None }
}

/// An attempt that did not get as far as a host.
fn failed_attempt(deps: &Deps, error: &str, permanent: bool) -> Attempt {
    Attempt {
        started: deps.clock.now(),
        duration_ms: 0,
        connect_ms: 0,
        host: String::new(),
        address: None,
        tls: None,
        policy: None,
        result: AttemptResult::Failed { error: error.into(), enhanced: None, permanent },
    }
}

/// Settles, however long it takes: the outcome is known only here.
async fn settle(deps: Arc<Deps>, settlements: Vec<Settlement>, mut claim: Claim) {
    let Some(suppressed) = persist(async || deps.writer.settle(settlements.clone()).await).await else {
        // Nothing can be recorded any more, and what was sent must not be sent again.
        std::mem::forget(claim);
        return;
    };
    deps.metrics.suppressions_added.with_label_values(&["queue"]).inc_by(suppressed as u64);
    for settlement in &settlements {
        let outcome = match settlement.decision {
            Decision::Retry(_) | Decision::Move { .. } => continue,
            Decision::Delivered => "delivered",
            Decision::Failed { .. } => "failed",
            Decision::Suppressed => "suppressed",
            Decision::Cancel => "canceled",
        };
        deps.metrics.retired.with_label_values(&[outcome]).inc();
    }
    claim.put_off = settlements.iter().any(|settlement| matches!(settlement.decision, Decision::Retry(_)));
}

/// Messages that are under way. Dropping it lets the actor take them up again if they are still due.
struct Claim {
    ids: Vec<QueueId>,
    /// Without an outcome that says otherwise, they are still due.
    put_off: bool,
    actor: Addr<DeliveryActor>,
    metrics: Metrics,
}

impl Claim {
    fn new(ids: Vec<QueueId>, actor: Addr<DeliveryActor>, metrics: &Metrics) -> Claim {
        metrics.messages_in_flight.add(ids.len() as i64);
        Claim { ids, put_off: true, actor, metrics: metrics.clone() }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.metrics.messages_in_flight.sub(self.ids.len() as i64);
        self.actor.do_send(Released { ids: std::mem::take(&mut self.ids), put_off: self.put_off });
    }
}

/// A place among the running attempts, given back by dropping it.
struct Slot {
    actor: Addr<DeliveryActor>,
    transacted: Option<Transacted>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(transacted) = self.transacted.take() {
            self.actor.do_send(transacted);
        }
    }
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
        self.running -= 1;
        self.pace.learn(transacted.health, Instant::now());
        if let Some(connection) = transacted.connection {
            let options = &self.deps.options;
            let worn = connection.transactions() >= options.connection_messages_max;
            // An idle connection counts among those allowed in all: it must not keep other destinations waiting.
            let scarce = self.deps.connections.available_permits() < options.connections_max.div_ceil(10);
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
            running: self.running,
            idle_connections: self.idle.len(),
            concurrency: self.pace.limit(),
            paused_ms: u64::try_from(paused.as_millis()).unwrap_or(u64::MAX),
            claimed: self.claimed.len(),
        }
    }
}

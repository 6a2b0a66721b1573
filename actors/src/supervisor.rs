//! The supervisor: it owns every other actor but the writer, starts delivery actors where there is work, and
//! makes broken-down actors anew.

use crate::{
    delivery::{self, DeliveryActor, DeliverySnapshot, Drain, Wake},
    exit::{ChildId, ExitNotice, Exited, Stop},
    janitor::{Janitor, JanitorDeps},
    schedule::Schedule,
    suppressions::{SuppressionActor, SuppressionDeps},
    timer::{Timer, instant_of},
    webhooks::{self, WebhookActor, WebhookSnapshot},
};
use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message, ResponseFuture,
    StreamHandler,
};
use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Start no more delivery, let what runs end, and answer when all is still.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown {
    /// How long to wait for what runs.
    pub(crate) grace: Duration,
}

/// What the delivery actors are doing.
#[derive(Message)]
#[rtype(result = "SupervisorSnapshot")]
pub(crate) struct Snapshot;

/// What the webhook actor is doing; `None` when there is none now.
#[derive(Message)]
#[rtype(result = "Option<WebhookSnapshot>")]
pub(crate) struct SnapshotOfWebhooks;

/// The state of the supervisor and its delivery actors.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SupervisorSnapshot {
    /// The delivery actors there are.
    pub deliveries: Vec<DeliverySnapshot>,
    /// Destinations without an actor, whose next message is due later.
    pub scheduled: usize,
    /// Destinations whose actor broke down too often.
    pub parked: Vec<String>,
}

/// The next page of destinations at start.
#[derive(Message)]
#[rtype(result = "()")]
struct Scan {
    after: Option<String>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// Make a broken-down actor anew, its back-off being over.
#[derive(Message)]
#[rtype(result = "()")]
struct Restart(ChildId);

/// Break an actor, as a bug would.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Break(pub(crate) ChildId);

#[cfg(test)]
impl Handler<Break> for Supervisor {
    type Result = ();

    fn handle(&mut self, Break(child): Break, _: &mut Context<Self>) {
        match &child {
            ChildId::Delivery(destination) => {
                if let Some((_, actor)) = self.deliveries.get(destination) {
                    actor.do_send(delivery::Break);
                }
            }
            ChildId::Webhooks => {
                if let Some((_, actor)) = &self.webhooks {
                    actor.do_send(delivery::Break);
                }
            }
            ChildId::Suppressions | ChildId::Janitor => {}
        }
    }
}

/// Destinations looked at in one step at start, so that hints and exits get their turn.
const SCAN_PAGE: usize = 1000;

/// After so many break-downs within [`BREAKDOWN_WINDOW`], a destination is parked.
const BREAKDOWNS_MAX: u32 = 5;

/// Break-downs further apart than this are forgotten.
const BREAKDOWN_WINDOW: Duration = Duration::from_secs(600);

/// Where actors live.
#[derive(Clone)]
pub(crate) enum Placement {
    /// All on the current arbiter, for tests with a paused clock.
    Here,
    /// Spread over these.
    On(Arc<[ArbiterHandle]>),
}

impl Placement {
    fn start<A: Actor<Context = Context<A>>>(
        &self,
        name: &str,
        make: impl FnOnce() -> A + Send + 'static,
    ) -> Addr<A> {
        match self {
            Placement::Here => make().start(),
            Placement::On(arbiters) => {
                let mut hasher = DefaultHasher::new();
                name.hash(&mut hasher);
                let arbiter = &arbiters[(hasher.finish() % arbiters.len() as u64) as usize];
                A::start_in_arbiter(arbiter, move |_| make())
            }
        }
    }
}

/// Everything the children need.
#[derive(Clone)]
pub(crate) struct SupervisorDeps {
    pub(crate) delivery: Arc<delivery::Deps>,
    pub(crate) webhooks: Arc<webhooks::Deps>,
    pub(crate) suppressions: SuppressionDeps,
    pub(crate) janitor: JanitorDeps,
    pub(crate) hints: crate::hints::Hints,
    pub(crate) placement: Placement,
}

pub(crate) struct Supervisor {
    deps: SupervisorDeps,
    deliveries: HashMap<String, (u64, Addr<DeliveryActor>)>,
    /// Addresses keep the others alive.
    webhooks: Option<(u64, Addr<WebhookActor>)>,
    suppressions: Option<(u64, Addr<SuppressionActor>)>,
    janitor: Option<(u64, Addr<Janitor>)>,
    /// Destinations without an actor, by the time of their next message.
    schedule: Schedule,
    breakdowns: HashMap<ChildId, Breakdowns>,
    parked: BTreeSet<String>,
    generation: u64,
    timer: Timer,
    /// Those who wait until all is still.
    stopping: Option<Vec<tokio::sync::oneshot::Sender<()>>>,
}

struct Breakdowns {
    count: u32,
    last: Instant,
    /// A restart is under way.
    waiting: bool,
}

impl Supervisor {
    pub(crate) fn new(deps: SupervisorDeps) -> Supervisor {
        Supervisor {
            deps,
            deliveries: HashMap::new(),
            webhooks: None,
            suppressions: None,
            janitor: None,
            schedule: Schedule::default(),
            breakdowns: HashMap::new(),
            parked: BTreeSet::new(),
            generation: 0,
            timer: Timer::default(),
            stopping: None,
        }
    }

    /// There may be work for a destination.
    fn wake(&mut self, destination: &str, ctx: &mut Context<Self>) {
        if let Some((_, actor)) = self.deliveries.get(destination) {
            actor.do_send(Wake);
            return;
        }
        let waiting = self.breakdowns.get(&ChildId::Delivery(destination.into())).is_some_and(|b| b.waiting);
        if self.stopping.is_some() || waiting || self.parked.contains(destination) {
            return;
        }
        self.start_delivery(destination.to_owned(), ctx);
    }

    fn start_delivery(&mut self, destination: String, ctx: &mut Context<Self>) {
        self.schedule.remove(&destination);
        let (generation, exit) = self.next_life(ChildId::Delivery(destination.clone()), ctx);
        let deps = self.deps.delivery.clone();
        let name = destination.clone();
        let actor = self.deps.placement.start(&name, move || DeliveryActor::new(destination, deps, exit));
        self.deliveries.insert(name, (generation, actor));
    }

    fn start_singleton(&mut self, child: &ChildId, ctx: &mut Context<Self>) {
        let (generation, exit) = self.next_life(child.clone(), ctx);
        let placement = self.deps.placement.clone();
        match child {
            ChildId::Delivery(_) => unreachable!("delivery actors are started by destination"),
            ChildId::Webhooks => {
                let deps = self.deps.webhooks.clone();
                let actor = placement.start(child.kind(), move || WebhookActor::new(deps, exit));
                self.webhooks = Some((generation, actor));
            }
            ChildId::Suppressions => {
                let deps = self.deps.suppressions.clone();
                let address = deps.address.clone();
                let actor = placement.start(child.kind(), move || SuppressionActor::new(deps, exit));
                address.send_replace(Some(actor.clone()));
                self.suppressions = Some((generation, actor));
            }
            ChildId::Janitor => {
                let deps = self.deps.janitor.clone();
                let actor = placement.start(child.kind(), move || Janitor::new(deps, exit));
                self.janitor = Some((generation, actor));
            }
        }
    }

    fn next_life(&mut self, child: ChildId, ctx: &mut Context<Self>) -> (u64, ExitNotice) {
        self.generation += 1;
        (self.generation, ExitNotice::new(child, self.generation, ctx.address().recipient()))
    }

    /// Remembers when a destination without an actor has work next.
    fn reschedule(&mut self, destination: String, ctx: &mut Context<Self>) {
        match self.deps.delivery.store.read(|view| view.next_message_due(&destination, None)) {
            Ok(Some(at)) if at <= self.deps.delivery.clock.now() => self.wake(&destination, ctx),
            Ok(Some(at)) => {
                self.schedule.insert(destination, at);
                self.set_timer(ctx);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(destination, %error, "the queue cannot be read");
                self.schedule
                    .insert(destination, self.deps.delivery.clock.now().after(Duration::from_secs(1)));
                self.set_timer(ctx);
            }
        }
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(at) = self.schedule.first() {
            self.timer.set(instant_of(at, self.deps.delivery.clock.now()), Tick, ctx);
        }
    }

    fn on_breakdown(&mut self, child: ChildId, ctx: &mut Context<Self>) {
        self.deps.delivery.metrics.actors_restarted.with_label_values(&[child.kind()]).inc();
        let now = Instant::now();
        let entry = self.breakdowns.entry(child.clone()).or_insert(Breakdowns {
            count: 0,
            last: now,
            waiting: false,
        });
        if now - entry.last > BREAKDOWN_WINDOW {
            entry.count = 0;
        }
        entry.count += 1;
        entry.last = now;
        let count = entry.count;
        if let ChildId::Delivery(destination) = &child
            && count >= BREAKDOWNS_MAX
        {
            tracing::error!(
                destination,
                "its actor broke down too often; nothing is delivered there until a restart"
            );
            self.parked.insert(destination.clone());
            self.deps.delivery.metrics.destinations_parked.set(self.parked.len() as i64);
            return;
        }
        entry.waiting = true;
        let wait = Duration::from_secs(1 << count.min(6));
        tracing::error!(actor = child.kind(), ?wait, "an actor broke down and is made anew");
        ctx.notify_later(Restart(child), wait);
    }

    fn answer_if_still(&mut self) {
        if self.deliveries.is_empty()
            && let Some(waiting) = &mut self.stopping
        {
            for waiter in waiting.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for child in [ChildId::Webhooks, ChildId::Suppressions, ChildId::Janitor] {
            self.start_singleton(&child, ctx);
        }
        ctx.add_stream(self.deps.hints.stream());
        ctx.notify(Scan { after: None });
    }
}

impl StreamHandler<BTreeSet<String>> for Supervisor {
    fn handle(&mut self, destinations: BTreeSet<String>, ctx: &mut Context<Self>) {
        for destination in destinations {
            self.wake(&destination, ctx);
        }
    }

    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Scan> for Supervisor {
    type Result = ();

    fn handle(&mut self, Scan { after }: Scan, ctx: &mut Context<Self>) {
        let page = match self.deps.delivery.store.read(|view| view.destinations(after.as_deref(), SCAN_PAGE))
        {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read");
                ctx.notify_later(Scan { after }, Duration::from_secs(1));
                return;
            }
        };
        let now = self.deps.delivery.clock.now();
        if page.len() == SCAN_PAGE
            && let Some((last, _)) = page.last()
        {
            ctx.notify(Scan { after: Some(last.clone()) });
        }
        for (destination, at) in page {
            if at <= now {
                self.wake(&destination, ctx);
            } else if !self.deliveries.contains_key(&destination) {
                self.schedule.insert(destination, at);
            }
        }
        self.set_timer(ctx);
    }
}

impl Handler<Tick> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.timer.went_off();
        for destination in self.schedule.take_due(self.deps.delivery.clock.now()) {
            self.wake(&destination, ctx);
        }
        self.set_timer(ctx);
    }
}

impl Handler<Exited> for Supervisor {
    type Result = ();

    fn handle(&mut self, Exited { child, generation, clean }: Exited, ctx: &mut Context<Self>) {
        let current = match &child {
            ChildId::Delivery(destination) => self.deliveries.get(destination).map(|(life, _)| *life),
            ChildId::Webhooks => self.webhooks.as_ref().map(|(life, _)| *life),
            ChildId::Suppressions => self.suppressions.as_ref().map(|(life, _)| *life),
            ChildId::Janitor => self.janitor.as_ref().map(|(life, _)| *life),
        };
        if current != Some(generation) {
            return;
        }
        if let ChildId::Delivery(destination) = &child {
            self.deliveries.remove(destination);
        }
        if self.stopping.is_some() {
            self.answer_if_still();
        } else if !clean {
            self.on_breakdown(child, ctx);
        } else if let ChildId::Delivery(destination) = child {
            self.reschedule(destination, ctx);
        }
    }
}

impl Handler<Restart> for Supervisor {
    type Result = ();

    fn handle(&mut self, Restart(child): Restart, ctx: &mut Context<Self>) {
        if self.stopping.is_some() {
            return;
        }
        if let Some(breakdowns) = self.breakdowns.get_mut(&child) {
            breakdowns.waiting = false;
        }
        match child {
            ChildId::Delivery(destination) => self.reschedule(destination, ctx),
            child => self.start_singleton(&child, ctx),
        }
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Shutdown { grace }: Shutdown, ctx: &mut Context<Self>) -> ResponseFuture<()> {
        let (still, wait) = tokio::sync::oneshot::channel();
        self.stopping.get_or_insert_default().push(still);
        for (_, actor) in self.deliveries.values() {
            actor.do_send(Drain);
        }
        if let Some((_, actor)) = &self.webhooks {
            actor.do_send(webhooks::Drain);
        }
        self.answer_if_still();
        let webhooks = self.deps.webhooks.clone();
        let supervisor = ctx.address();
        Box::pin(async move {
            let all = async {
                let _ = wait.await;
                webhooks.still().await;
            };
            if tokio::time::timeout(grace, all).await.is_err() {
                tracing::warn!(
                    "deliveries or webhook calls were still running at the end of the grace period; they will be made again"
                );
            }
            supervisor.do_send(Stop);
        })
    }
}

impl Handler<Stop> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        if let Some((_, actor)) = self.webhooks.take() {
            actor.do_send(Stop);
        }
        if let Some((_, actor)) = self.suppressions.take() {
            self.deps.suppressions.address.send_replace(None);
            actor.do_send(Stop);
        }
        if let Some((_, actor)) = self.janitor.take() {
            actor.do_send(Stop);
        }
        ctx.stop();
    }
}

impl Handler<Snapshot> for Supervisor {
    type Result = ResponseFuture<SupervisorSnapshot>;

    fn handle(&mut self, _: Snapshot, _: &mut Context<Self>) -> ResponseFuture<SupervisorSnapshot> {
        let asked: Vec<_> =
            self.deliveries.values().map(|(_, actor)| actor.send(delivery::Snapshot)).collect();
        let scheduled = self.schedule.len();
        let parked = self.parked.iter().cloned().collect();
        Box::pin(async move {
            let deliveries = futures_util::future::join_all(asked).await.into_iter().flatten().collect();
            SupervisorSnapshot { deliveries, scheduled, parked }
        })
    }
}

impl Handler<SnapshotOfWebhooks> for Supervisor {
    type Result = ResponseFuture<Option<WebhookSnapshot>>;

    fn handle(
        &mut self,
        _: SnapshotOfWebhooks,
        _: &mut Context<Self>,
    ) -> ResponseFuture<Option<WebhookSnapshot>> {
        let asked = self.webhooks.as_ref().map(|(_, actor)| actor.send(webhooks::Snapshot));
        Box::pin(async move { asked?.await.ok() })
    }
}

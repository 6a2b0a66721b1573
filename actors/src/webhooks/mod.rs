//! The webhook actor: it makes the calls that are due, each URL at its own pace.

mod guard;
mod plan;
mod post;
mod request;

pub use guard::AddressGuard;
pub use post::{HookAnswer, HookError, HttpPoster, Poster};
pub use request::{HookRequest, signature};

use crate::{
    Clock, Metrics, RetrySchedule, StoreWriter,
    exit::{ExitNotice, Stop},
    hints::Hints,
    pace::{Health, Pace},
    schedule::Schedule,
    store_writer::persist,
    timer::{Timer, instant_of},
};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, StreamHandler};
use mail::{HookId, Timestamp};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use store::{
    HookSettlement, Store, StoreError,
    records::{HookAttempt, HookRecord},
};
use tokio::{sync::Semaphore, time::Instant};

/// Make no more calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// A call ended and is settled.
#[derive(Message)]
#[rtype(result = "()")]
struct Called {
    group: String,
    id: HookId,
    health: Health,
}

/// The next page of URLs at start.
#[derive(Message)]
#[rtype(result = "()")]
struct Scan {
    after: Option<String>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

const SCAN_PAGE: usize = 1000;

/// Calls at the same time to a URL of which nothing is known yet.
const CALLS_START: usize = 2;

/// How hooks are called.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// The waits between calls.
    pub schedule: RetrySchedule,
    /// Calls to one URL at the same time; never more than a quarter of all.
    pub calls_per_url_max: usize,
    /// Calls in all.
    pub calls_max: usize,
    /// Hooks taken up at a time, a URL.
    pub due_batch_max: usize,
}

impl WebhookOptions {
    /// A URL begins slowly and earns more calls by answering, so that those that hang leave room for others.
    fn pace(&self) -> Pace {
        let most = self.calls_per_url_max.min(self.calls_max / 4).max(1);
        Pace::new(CALLS_START.min(most), most)
    }
}

/// What the webhook actor needs.
pub(crate) struct Deps {
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) poster: Arc<dyn Poster>,
    pub(crate) options: WebhookOptions,
    pub(crate) hints: Hints,
    pub(crate) metrics: Metrics,
    /// One permit a call.
    pub(crate) calls: Arc<Semaphore>,
}

impl Deps {
    /// Returns when no call is under way.
    pub(crate) async fn still(&self) {
        let all = u32::try_from(self.options.calls_max).unwrap_or(u32::MAX);
        let _ = self.calls.acquire_many(all).await;
    }
}

pub(crate) struct WebhookActor {
    deps: Arc<Deps>,
    /// By group of the due index: very long URLs with the same start are one.
    urls: HashMap<String, Url>,
    /// When hooks of these groups become due.
    schedule: Schedule,
    timer: Timer,
    draining: bool,
    exit: ExitNotice,
}

/// What is known of a URL with hooks.
struct Url {
    pace: Pace,
    running: usize,
    claimed: HashSet<HookId>,
    ready: Vec<HookId>,
}

impl WebhookActor {
    pub(crate) fn new(deps: Arc<Deps>, exit: ExitNotice) -> WebhookActor {
        WebhookActor {
            deps,
            urls: HashMap::new(),
            schedule: Schedule::default(),
            timer: Timer::default(),
            draining: false,
            exit,
        }
    }

    /// Makes the calls to a URL that can be made now.
    fn look(&mut self, url: &str, ctx: &mut Context<Self>) {
        if self.draining {
            return;
        }
        let group = store::due_group(url);
        let deps = &self.deps;
        let url = self.urls.entry(group.to_owned()).or_insert_with(|| Url {
            pace: deps.options.pace(),
            running: 0,
            claimed: HashSet::new(),
            ready: Vec::new(),
        });
        // One reading for all: a hook that became due between two would be in neither answer.
        let now = deps.clock.now();
        let next_due = url.start_due(group, now, deps, ctx).unwrap_or_else(|error| {
            tracing::error!(%error, "the hooks cannot be read");
            Some(now.after(Duration::from_secs(1)))
        });
        match next_due {
            Some(at) => self.schedule.insert(group.to_owned(), at),
            None => self.schedule.remove(group),
        }
        if url.running == 0 && url.claimed.is_empty() && next_due.is_none() {
            self.urls.remove(group);
        }
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(at) = self.schedule.first() {
            self.timer.set(instant_of(at, self.deps.clock.now()), Tick, ctx);
        }
    }
}

impl Url {
    /// Starts what is due at `now` and has a place; returns when the next hook after `now` is due.
    fn start_due(
        &mut self,
        group: &str,
        now: Timestamp,
        deps: &Arc<Deps>,
        ctx: &mut Context<WebhookActor>,
    ) -> Result<Option<Timestamp>, StoreError> {
        while self.running < self.pace.limit() {
            if self.ready.is_empty() {
                self.refill(group, now, deps)?;
            }
            let Some(id) = self.ready.pop() else { break };
            self.running += 1;
            actix_rt::spawn(run(deps.clone(), group.to_owned(), id, ctx.address()));
        }
        deps.store.read(|view| view.next_hook_due(group, Some(now)))
    }

    fn refill(&mut self, group: &str, now: Timestamp, deps: &Deps) -> Result<(), StoreError> {
        let claimed = &self.claimed;
        let mut due = deps.store.read(|view| {
            view.due_hooks(group, now, deps.options.due_batch_max, |id| claimed.contains(&id))
        })?;
        self.claimed.extend(&due);
        // Taken from the end, oldest first.
        due.reverse();
        self.ready = due;
        Ok(())
    }
}

/// One call from reading the hook to the settled result.
async fn run(deps: Arc<Deps>, group: String, id: HookId, actor: Addr<WebhookActor>) {
    let mut done = Done { actor, called: Some(Called { group, id, health: Health::Unknown }) };
    // Calls that hang hold theirs until they time out, and with enough such URLs all of them.
    let _permit = deps.calls.clone().acquire_owned().await.expect("the semaphore is never closed");
    let hook = match deps.store.read(|view| view.hook(id)) {
        Ok(Some(hook)) => Arc::new(hook),
        // Superseded or cancelled since it was read.
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, hook.id = %id, "a hook cannot be read");
            tokio::time::sleep(Duration::from_secs(1)).await;
            return;
        }
    };
    let (settlement, health) = {
        let _in_flight = InFlight::new(&deps.metrics);
        call(&deps, id, hook).await
    };
    if let Some(called) = &mut done.called {
        called.health = health;
    }
    settle(&deps, settlement).await;
}

async fn call(deps: &Arc<Deps>, id: HookId, hook: Arc<HookRecord>) -> (HookSettlement, Health) {
    let started = deps.clock.now();
    let began = Instant::now();
    let attempt = hook.attempts.len() + 1;
    // Its own task, so that what breaks it is a result like others, and settled.
    let called = actix_rt::spawn(answer(deps.clone(), id, hook.clone(), attempt, started)).await;
    let (answer, health) = called.unwrap_or_else(|error| {
        tracing::error!(%error, hook.id = %id, "a webhook call broke down; it is made again later");
        (Err(HookError::temporary("internal error".into())), Health::Unknown)
    });
    let took = began.elapsed();
    deps.metrics.hook_seconds.observe(took.as_secs_f64());
    let now = deps.clock.now();
    let decision = plan::decide(&answer, attempt, now, &deps.options.schedule);
    let (success, status, error, response) = plan::describe(answer);
    let result = if success {
        "ok"
    } else if status > 0 {
        "refused"
    } else {
        "failed"
    };
    deps.metrics.hooks.with_label_values(&[result]).inc();
    tracing::debug!(hook.id = %id, result, http.status = status, error, attempt, "webhook call");
    let attempt = HookAttempt {
        started,
        duration_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
        url: hook.url.clone(),
        success,
        status,
        error,
        response,
    };
    (HookSettlement { id, now, attempt, decision }, health)
}

/// The answer, and what it tells about the URL: nothing, where it was not called.
async fn answer(
    deps: Arc<Deps>,
    id: HookId,
    hook: Arc<HookRecord>,
    attempt: usize,
    started: Timestamp,
) -> (Result<HookAnswer, HookError>, Health) {
    match request(&deps.store, id, hook, attempt, started).await {
        Ok(request) => {
            let answer = deps.poster.post(request).await;
            let health = plan::health(&answer);
            (answer, health)
        }
        Err(error) => (Err(unbuilt(id, &error)), Health::Unknown),
    }
}

async fn request(
    store: &Store,
    id: HookId,
    hook: Arc<HookRecord>,
    attempt: usize,
    started: Timestamp,
) -> Result<HookRequest, StoreError> {
    if !request::is_large(&hook) {
        return request::build(store, id, &hook, attempt, started);
    }
    let store = store.clone();
    let building =
        tokio::task::spawn_blocking(move || request::build(&store, id, &hook, attempt, started)).await;
    // Nothing cancels it but the end of the runtime, and then nobody waits.
    building.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Only a message that is gone for good ends its hook. Paths and the like are for the operator alone.
fn unbuilt(id: HookId, error: &StoreError) -> HookError {
    tracing::error!(%error, hook.id = %id, "the message that a hook tells cannot be read");
    match error {
        StoreError::Damaged { .. } => HookError::permanent(error.to_string()),
        _ => HookError::temporary("internal error: the message cannot be read now".into()),
    }
}

/// Settles, however long it takes: the result is known only here.
async fn settle(deps: &Deps, settlement: HookSettlement) {
    persist(async || deps.writer.settle_hooks(vec![settlement.clone()]).await).await;
}

/// Counts a call for as long as it lives.
struct InFlight(Metrics);

impl InFlight {
    fn new(metrics: &Metrics) -> InFlight {
        metrics.hooks_in_flight.inc();
        InFlight(metrics.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.hooks_in_flight.dec();
    }
}

/// Tells the actor that a call is over, even when it broke down.
struct Done {
    actor: Addr<WebhookActor>,
    called: Option<Called>,
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(called) = self.called.take() {
            self.actor.do_send(called);
        }
    }
}

impl Actor for WebhookActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.deps.metrics.actors_alive.with_label_values(&["webhooks"]).inc();
        ctx.add_stream(self.deps.hints.stream());
        ctx.notify(Scan { after: None });
    }
}

impl Drop for WebhookActor {
    fn drop(&mut self) {
        self.deps.metrics.actors_alive.with_label_values(&["webhooks"]).dec();
    }
}

impl StreamHandler<BTreeSet<String>> for WebhookActor {
    fn handle(&mut self, urls: BTreeSet<String>, ctx: &mut Context<Self>) {
        for url in urls {
            self.look(&url, ctx);
        }
        self.set_timer(ctx);
    }

    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Scan> for WebhookActor {
    type Result = ();

    fn handle(&mut self, Scan { after }: Scan, ctx: &mut Context<Self>) {
        let page = match self.deps.store.read(|view| view.hook_urls(after.as_deref(), SCAN_PAGE)) {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the hooks cannot be read");
                ctx.notify_later(Scan { after }, Duration::from_secs(1));
                return;
            }
        };
        if page.len() == SCAN_PAGE
            && let Some((last, _)) = page.last()
        {
            ctx.notify(Scan { after: Some(last.clone()) });
        }
        for (url, _) in page {
            self.look(&url, ctx);
        }
        self.set_timer(ctx);
    }
}

impl Handler<Called> for WebhookActor {
    type Result = ();

    fn handle(&mut self, Called { group, id, health }: Called, ctx: &mut Context<Self>) {
        if let Some(url) = self.urls.get_mut(&group) {
            url.running -= 1;
            url.claimed.remove(&id);
            url.pace.learn(health, Instant::now());
        }
        self.look(&group, ctx);
        self.set_timer(ctx);
    }
}

impl Handler<Tick> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.timer.went_off();
        for group in self.schedule.take_due(self.deps.clock.now()) {
            self.look(&group, ctx);
        }
        self.set_timer(ctx);
    }
}

impl Handler<Drain> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {
        self.draining = true;
    }
}

impl Handler<Stop> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.exit.clean();
        ctx.stop();
    }
}

#[cfg(test)]
impl Handler<crate::delivery::Break> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: crate::delivery::Break, _: &mut Context<Self>) {
        panic!("scripted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_url_takes_more_than_a_quarter_of_the_calls() {
        for (calls_per_url_max, calls_max, start, most) in
            [(20, 200, 2, 20), (20, 40, 2, 10), (20, 3, 1, 1), (1, 200, 1, 1), (20, 1, 1, 1)]
        {
            let options = WebhookOptions {
                schedule: RetrySchedule(Vec::new()),
                calls_per_url_max,
                calls_max,
                due_batch_max: 1,
            };
            let mut pace = options.pace();
            assert_eq!(pace.limit(), start, "{options:?}");
            for _ in 0..1000 {
                pace.learn(Health::Good, Instant::now());
            }
            assert_eq!(pace.limit(), most, "{options:?}");
        }
    }
}

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
};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, StreamHandler};
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
    url: String,
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

/// How hooks are called.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// The waits between calls.
    pub schedule: RetrySchedule,
    /// Calls to one URL at the same time.
    pub calls_per_url_max: usize,
    /// Calls in all.
    pub calls_max: usize,
    /// Hooks taken up at a time, a URL.
    pub due_batch_max: usize,
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
    urls: HashMap<String, Url>,
    timer: Option<(Timestamp, SpawnHandle)>,
    draining: bool,
    exit: ExitNotice,
}

/// What is known of a URL with hooks.
struct Url {
    pace: Pace,
    running: usize,
    claimed: HashSet<HookId>,
    ready: Vec<HookId>,
    next_due: Option<Timestamp>,
}

impl WebhookActor {
    pub(crate) fn new(deps: Arc<Deps>, exit: ExitNotice) -> WebhookActor {
        WebhookActor { deps, urls: HashMap::new(), timer: None, draining: false, exit }
    }

    /// Makes the calls to a URL that can be made now.
    fn look(&mut self, name: &str, ctx: &mut Context<Self>) {
        if self.draining {
            return;
        }
        let most = self.deps.options.calls_per_url_max;
        let url = self.urls.entry(name.to_owned()).or_insert_with(|| Url {
            pace: Pace::new(most, most),
            running: 0,
            claimed: HashSet::new(),
            ready: Vec::new(),
            next_due: None,
        });
        if let Err(error) = url.start_due(name, &self.deps, ctx) {
            tracing::error!(%error, "the hooks cannot be read");
            url.next_due = Some(self.deps.clock.now().after(Duration::from_secs(1)));
        }
        if url.running == 0 && url.claimed.is_empty() && url.next_due.is_none() {
            self.urls.remove(name);
        }
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.urls.values().filter_map(|url| url.next_due).min() else { return };
        if self.timer.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        let wait = at.since(self.deps.clock.now()) + Duration::from_millis(1);
        let handle = ctx.notify_later(Tick, wait);
        if let Some((_, later)) = self.timer.replace((at, handle)) {
            ctx.cancel_future(later);
        }
    }
}

impl Url {
    fn start_due(
        &mut self,
        name: &str,
        deps: &Arc<Deps>,
        ctx: &mut Context<WebhookActor>,
    ) -> Result<(), StoreError> {
        while self.running < self.pace.limit() {
            if self.ready.is_empty() {
                self.refill(name, deps)?;
            }
            let Some(id) = self.ready.pop() else { break };
            self.running += 1;
            actix_rt::spawn(run(deps.clone(), name.to_owned(), id, ctx.address()));
        }
        let now = deps.clock.now();
        self.next_due = deps.store.read(|view| view.next_hook_due(name, Some(now)))?;
        Ok(())
    }

    fn refill(&mut self, name: &str, deps: &Deps) -> Result<(), StoreError> {
        let now = deps.clock.now();
        let claimed = &self.claimed;
        let mut due = deps
            .store
            .read(|view| view.due_hooks(name, now, deps.options.due_batch_max, |id| claimed.contains(&id)))?;
        self.claimed.extend(&due);
        // Taken from the end, oldest first.
        due.reverse();
        self.ready = due;
        Ok(())
    }
}

/// One call from reading the hook to the settled result.
async fn run(deps: Arc<Deps>, url: String, id: HookId, actor: Addr<WebhookActor>) {
    let mut done = Done { actor, called: Some(Called { url, id, health: Health::Unknown }) };
    let _permit = deps.calls.clone().acquire_owned().await.expect("the semaphore is never closed");
    let hook = match deps.store.read(|view| view.hook(id)) {
        Ok(Some(hook)) => hook,
        // Superseded or cancelled since it was read.
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, hook.id = %id, "a hook cannot be read");
            tokio::time::sleep(Duration::from_secs(1)).await;
            return;
        }
    };
    deps.metrics.hooks_in_flight.inc();
    let (settlement, health) = call(&deps, id, &hook).await;
    deps.metrics.hooks_in_flight.dec();
    if let Some(called) = &mut done.called {
        called.health = health;
    }
    settle(&deps, settlement).await;
}

async fn call(deps: &Deps, id: HookId, hook: &HookRecord) -> (HookSettlement, Health) {
    let started = deps.clock.now();
    let began = Instant::now();
    let attempt = hook.attempts.len() + 1;
    let answer = match request::build(&deps.store, id, hook, attempt, started) {
        Ok(request) => deps.poster.post(request).await,
        Err(error) => Err(HookError::permanent(error.to_string())),
    };
    let took = began.elapsed();
    deps.metrics.hook_seconds.observe(took.as_secs_f64());
    let now = deps.clock.now();
    let decision = plan::decide(&answer, attempt, now, &deps.options.schedule);
    let health = plan::health(&answer);
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

/// Settles, however long it takes: the result is known only here.
async fn settle(deps: &Deps, settlement: HookSettlement) {
    let mut wait = Duration::from_millis(100);
    while let Err(error) = deps.writer.settle_hooks(vec![settlement.clone()]).await {
        if matches!(error, crate::WriteError::Stopped) {
            return;
        }
        tracing::debug!(%error, hook.id = %settlement.id, "the result of a webhook call cannot be stored; trying again");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
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

    fn handle(&mut self, Called { url, id, health }: Called, ctx: &mut Context<Self>) {
        if let Some(state) = self.urls.get_mut(&url) {
            state.running -= 1;
            state.claimed.remove(&id);
            state.pace.learn(health, Instant::now());
        }
        self.look(&url, ctx);
        self.set_timer(ctx);
    }
}

impl Handler<Tick> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.timer = None;
        let now = self.deps.clock.now();
        let due: Vec<String> = self
            .urls
            .iter()
            .filter(|(_, url)| url.next_due.is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for url in due {
            self.look(&url, ctx);
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

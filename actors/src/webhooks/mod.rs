//! The webhook actor: it makes the calls that are due, each URL at its own pace.

mod gate;
mod guard;
mod lanes;
mod operations;
mod plan;
mod post;
mod request;
mod run;

pub use gate::{HookGate, UrlCalls, WebhookSnapshot};
pub use guard::AddressGuard;
pub use operations::{HookDeed, HookOperations, ResentPart, TestCall, TestCallError};
pub use post::{HookAnswer, HookError, HttpPoster, Poster, RetryAfter};
pub use request::{HookRequest, signature};

use lanes::Lanes;

use crate::{
    Clock, Metrics, RetrySchedule, StoreWriter,
    exit::{ExitNotice, Stop},
    hints::Hints,
    pace::{Health, Pace},
    schedule::Schedule,
    timer::{Timer, instant_of},
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, StreamHandler};
use mail::{HookId, Timestamp};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use store::{Store, StoreError};
use tokio::time::Instant;

/// Make no more calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// What the actor is doing.
#[derive(Message)]
#[rtype(result = "WebhookSnapshot")]
pub(crate) struct Snapshot;

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
const CALLS_START: usize = 1;

/// How hooks are called.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// The waits between calls.
    pub schedule: RetrySchedule,
    /// Calls to one URL at the same time; never more than a quarter of all.
    pub calls_per_url_max: usize,
    /// Calls in all whose receivers answer quickly, as far as is known.
    pub calls_max: usize,
    /// Calls beyond those, whose receivers let us wait.
    pub calls_waiting_max: usize,
    /// Bytes of the bodies of calls, together; twice that with those that wait.
    pub body_bytes_max: usize,
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
    pub(crate) lanes: Lanes,
}

impl Deps {
    pub(crate) fn new(
        store: Store,
        writer: StoreWriter,
        clock: Clock,
        poster: Arc<dyn Poster>,
        options: WebhookOptions,
        hints: Hints,
        metrics: Metrics,
    ) -> Deps {
        let lanes = Lanes::new(options.calls_max, options.calls_waiting_max, options.body_bytes_max);
        Deps { store, writer, clock, poster, options, hints, metrics, lanes }
    }

    /// Returns when no call is under way.
    pub(crate) async fn still(&self) {
        self.lanes.still().await;
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
            actix_rt::spawn(run::run(
                deps.clone(),
                group.to_owned(),
                id,
                self.pace.is_failing(),
                ctx.address(),
            ));
        }
        deps.store.read(|view| view.next_hook_due(group, Some(now)))
    }

    /// What was taken up and waits here no more has its turn.
    fn calls(&self) -> UrlCalls {
        let ready: HashSet<_> = self.ready.iter().copied().collect();
        let under_way = self.claimed.difference(&ready).copied().collect();
        UrlCalls { under_way, concurrency: self.pace.limit() }
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

impl Handler<Snapshot> for WebhookActor {
    type Result = WebhookSnapshot;

    fn handle(&mut self, _: Snapshot, _: &mut Context<Self>) -> WebhookSnapshot {
        let called = self.urls.iter().filter(|(_, url)| url.running > 0);
        WebhookSnapshot { urls: called.map(|(group, url)| (group.clone(), url.calls())).collect() }
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
            [(20, 200, 1, 20), (20, 40, 1, 10), (20, 3, 1, 1), (1, 200, 1, 1), (20, 1, 1, 1)]
        {
            let options = WebhookOptions {
                schedule: RetrySchedule(Vec::new()),
                calls_per_url_max,
                calls_max,
                calls_waiting_max: 0,
                body_bytes_max: 1 << 20,
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

//! The janitor: it removes what retention no longer keeps, a bounded piece at a time.

use crate::{
    Clock, Metrics, StoreWriter,
    exit::{ExitNotice, Stop},
};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use mail::Timestamp;
use std::time::Duration;
use store::{Store, Sweep};

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// When and how much is swept.
#[derive(Clone, Debug)]
pub struct JanitorOptions {
    /// Time between rounds.
    pub interval: Duration,
    /// Records removed in one transaction.
    pub batch: usize,
    /// How long events are kept.
    pub keep_events: Duration,
}

#[derive(Clone)]
pub(crate) struct JanitorDeps {
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) options: JanitorOptions,
}

pub(crate) struct Janitor {
    deps: JanitorDeps,
    exit: ExitNotice,
}

impl Janitor {
    pub(crate) fn new(deps: JanitorDeps, exit: ExitNotice) -> Janitor {
        Janitor { deps, exit }
    }
}

/// One round: pieces until nothing is left to remove.
async fn sweep(deps: JanitorDeps) {
    let options = &deps.options;
    loop {
        let now = deps.clock.now();
        let events_before = Timestamp::from_millis(
            now.as_millis() - i64::try_from(options.keep_events.as_millis()).unwrap_or(i64::MAX),
        );
        // A look costs nothing; a commit that removes nothing would cost a sync.
        match deps.store.read(|view| view.has_expired(now, events_before)) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, "what expired cannot be read");
                return;
            }
        }
        match deps.writer.sweep(Sweep { now, events_before, limit: options.batch }).await {
            Ok(removed) => {
                deps.metrics.swept.inc_by(removed as u64);
                if removed < options.batch {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "retention could not remove anything; it will try again");
                return;
            }
        }
    }
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.deps.metrics.actors_alive.with_label_values(&["janitor"]).inc();
        ctx.notify(Tick);
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.deps.metrics.actors_alive.with_label_values(&["janitor"]).dec();
    }
}

impl Handler<Tick> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        // The next round begins after this one, however long it takes.
        let round = sweep(self.deps.clone()).into_actor(self).map(|(), actor, ctx| {
            ctx.notify_later(Tick, actor.deps.options.interval);
        });
        ctx.spawn(round);
    }
}

impl Handler<Stop> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.exit.clean();
        ctx.stop();
    }
}

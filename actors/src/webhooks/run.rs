//! One webhook call, from its turn to the stored result.

use super::{
    Called, Deps, HookAnswer, HookError, HookRequest, WebhookActor,
    lanes::{Lane, Permit},
    plan, request,
};
use crate::{Metrics, pace::Health, store_writer::persist};
use actix::Addr;
use futures_util::FutureExt;
use mail::HookId;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use store::{HookSettlement, StoreError, records::HookRecord};
use tokio::time::Instant;

/// One call from reading the hook to the settled result. `failing`: its URL did not answer the last time.
pub(super) async fn run(
    deps: Arc<Deps>,
    group: String,
    id: HookId,
    failing: bool,
    actor: Addr<WebhookActor>,
) {
    let mut done = Done { actor, called: Some(Called { group, id, health: Health::Unknown }) };
    // Read before there is a place, since it says in which lane that is to be.
    let Some(hook) = read(&deps, id).await else { return };
    let unanswered = hook.attempts.last().is_some_and(|last| last.status == 0);
    let lane = if failing || unanswered { Lane::Waiting } else { Lane::Quick };
    let mut permit = deps.lanes.permit(lane).await;
    // It may have been superseded, cancelled or put off while it waited.
    let Some(hook) = read(&deps, id).await.filter(|hook| hook.next_attempt <= deps.clock.now()) else {
        return;
    };
    let (settlement, health) = {
        let _in_flight = InFlight::new(&deps.metrics);
        call(&deps, id, hook, &mut permit).await
    };
    if let Some(called) = &mut done.called {
        called.health = health;
    }
    // The place is kept until the result is stored: at the end of the process that is waited for.
    settle(&deps, settlement).await;
}

/// `None`: it is not pending any more, or cannot be read now.
async fn read(deps: &Deps, id: HookId) -> Option<Arc<HookRecord>> {
    match deps.store.read(|view| view.hook(id)) {
        Ok(hook) => hook.map(Arc::new),
        Err(error) => {
            tracing::error!(%error, hook.id = %id, "a hook cannot be read");
            tokio::time::sleep(Duration::from_secs(1)).await;
            None
        }
    }
}

async fn call(
    deps: &Arc<Deps>,
    id: HookId,
    hook: Arc<HookRecord>,
    permit: &mut Permit,
) -> (HookSettlement, Health) {
    let started = deps.clock.now();
    let began = Instant::now();
    let attempt = hook.attempts.len() + 1;
    // What breaks it is a result like others, and settled.
    let called = AssertUnwindSafe(answer(deps, id, hook.clone(), attempt, permit)).catch_unwind().await;
    let (answer, health) = called.unwrap_or_else(|_| {
        tracing::error!(hook.id = %id, "a webhook call broke down; it is made again later");
        (Err(HookError::temporary("internal error".into())), Health::Unknown)
    });
    let took = began.elapsed();
    deps.metrics.hook_seconds.observe(took.as_secs_f64());
    let now = deps.clock.now();
    let decision = plan::decide(&answer, attempt, now, &deps.options.schedule);
    let done = plan::attempt(&hook.url, started, took, answer);
    let result = match done.status {
        _ if done.success => "ok",
        0 => "failed",
        _ => "refused",
    };
    deps.metrics.hooks.with_label_values(&[result]).inc();
    tracing::debug!(hook.id = %id, result, http.status = done.status, error = done.error, attempt, "webhook call");
    (HookSettlement { id, now, attempt: done, decision }, health)
}

/// The answer, and what it tells about the URL: nothing, where it was not called.
async fn answer(
    deps: &Deps,
    id: HookId,
    hook: Arc<HookRecord>,
    attempt: usize,
    permit: &mut Permit,
) -> (Result<HookAnswer, HookError>, Health) {
    let large = match request::is_large(&hook) {
        true => Some(permit.large().await),
        false => None,
    };
    match request(deps, id, hook, attempt).await {
        Ok(request) => {
            permit.hold(request.body.len()).await;
            drop(large);
            let answer = permit.wait(deps.poster.post(request)).await;
            let health = plan::health(&answer);
            (answer, health)
        }
        Err(error) => (Err(unbuilt(id, &error)), Health::Unknown),
    }
}

async fn request(
    deps: &Deps,
    id: HookId,
    hook: Arc<HookRecord>,
    attempt: usize,
) -> Result<HookRequest, StoreError> {
    let (store, now) = (deps.store.clone(), deps.clock.now());
    if !request::is_large(&hook) {
        return request::build(&store, id, &hook, attempt, now);
    }
    let building = tokio::task::spawn_blocking(move || request::build(&store, id, &hook, attempt, now)).await;
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

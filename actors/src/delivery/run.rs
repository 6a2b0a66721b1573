//! A job from the first byte to the settled outcome.

use super::{
    DeliveryActor, Deps, Released, Transacted,
    attempt::{self, Attempted, Ended, Job},
    connection::Connection,
    plan,
};
use crate::{Metrics, pace::Health, store_writer::persist};
use actix::Addr;
use mail::{Address, DsnNotify, QueueId, Stage, Timestamp};
use std::sync::Arc;
use store::{
    Decision, Settlement,
    records::{Attempt, AttemptResult, QueueRecord, TlsVerified},
};

/// One job from the first byte to the settled outcome. Its own task, so that what breaks it breaks nothing else.
pub(super) async fn run(
    deps: Arc<Deps>,
    destination: String,
    job: Job,
    idle: Option<Box<Connection>>,
    mut slot: Slot,
) {
    let ids: Vec<_> = job.messages.iter().map(|(id, _)| *id).collect();
    let before: Vec<_> = job.messages.iter().map(|(_, message)| Before::of(message)).collect();
    let claim = Claim::new(ids.clone(), slot.actor.clone(), &deps.metrics);

    let timer = deps.metrics.attempt_seconds.start_timer();
    let attempted = {
        let deps = deps.clone();
        actix_rt::spawn(async move { attempt::attempt(&deps, &destination, job, idle).await }).await
    };
    timer.observe_duration();

    let (attempts, reports) = match attempted {
        Ok(Attempted { attempts, health, connection, recipients_max, reports }) => {
            slot.transacted.health = health;
            slot.transacted.connection = connection;
            slot.transacted.recipients_max = recipients_max;
            (attempts, reports)
        }
        Err(error) => {
            tracing::error!(%error, message.id = %ids[0], "an attempt broke down; the message is tried again later");
            (vec![Some(broken_attempt(&deps)); ids.len()], false)
        }
    };
    drop(slot);

    let now = deps.clock.now();
    let mut settlements = Vec::with_capacity(ids.len());
    for ((&id, attempt), before) in ids.iter().zip(attempts).zip(before) {
        let Some(ended) = attempt else { continue };
        let mut settlement = settlement(&deps, id, ended, &before, now);
        // A host that reports tells of the success itself.
        let success = before.wants_success && !reports;
        if let Some(action) = deps.reporter.due(&settlement, before.made + 1, success) {
            settlement.report = Box::pin(deps.reporter.after_attempt(&settlement, action)).await;
        }
        settlements.push(settlement);
    }
    settle(deps, settlements, claim).await;
}

/// What is known of a message before an attempt.
struct Before {
    recipient: Address,
    /// Attempts so far.
    made: usize,
    /// It asks to be told of a success.
    wants_success: bool,
}

impl Before {
    fn of(message: &QueueRecord) -> Before {
        Before {
            recipient: message.recipient.clone(),
            made: message.attempts.len(),
            wants_success: DsnNotify::wants_success(message.dsn.notify),
        }
    }
}

fn settlement(deps: &Deps, id: QueueId, ended: Ended, before: &Before, now: Timestamp) -> Settlement {
    let Ended { attempt, stage } = ended;
    let schedule = &deps.options.schedule;
    let decision = plan::decide(&attempt.result, stage, &before.recipient, before.made + 1, now, schedule);
    let result = match &attempt.result {
        AttemptResult::Delivered(_) => "delivered",
        AttemptResult::Refused(answer) if answer.code < 500 => "deferred",
        AttemptResult::Refused(_) => "refused",
        AttemptResult::Failed { .. } => "failed",
    };
    let tls = match attempt.tls.as_ref().map(|tls| tls.verified) {
        None => "none",
        Some(TlsVerified::No) => "unverified",
        Some(TlsVerified::WebPki) => "webpki",
        Some(TlsVerified::Dane) => "dane",
    };
    deps.metrics.attempts.with_label_values(&[result, tls]).inc();
    tracing::debug!(
        message.id = %id,
        result,
        smtp.code = attempt.result.answer().map_or(0, |answer| answer.code),
        error = attempt.result.error(),
        attempt = before.made + 1,
        "attempt"
    );
    Settlement { id, now, attempt: Some(attempt), decision, report: None }
}

/// An attempt of which nothing is known but that it broke down.
fn broken_attempt(deps: &Deps) -> Ended {
    let attempt = Attempt {
        started: deps.clock.now(),
        duration_ms: 0,
        host: String::new(),
        address: None,
        connect_ms: 0,
        tls: None,
        policy: None,
        result: AttemptResult::Failed { error: "internal error".into(), permanent: false, enhanced: None },
    };
    Ended { attempt, stage: Stage::Session }
}

/// Settles, however long it takes: the outcome is known only here.
pub(super) async fn settle(deps: Arc<Deps>, settlements: Vec<Settlement>, mut claim: Claim) {
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
    let put_off = |settlement: &Settlement| matches!(settlement.decision, Decision::Retry(_));
    claim.put_off = settlements.len() < claim.ids.len() || settlements.iter().any(put_off);
}

/// Messages that are under way. Dropping it lets the actor take them up again if they are still due.
pub(super) struct Claim {
    ids: Vec<QueueId>,
    /// Without an outcome that says otherwise, they are still due.
    put_off: bool,
    actor: Addr<DeliveryActor>,
    metrics: Metrics,
}

impl Claim {
    pub(super) fn new(ids: Vec<QueueId>, actor: Addr<DeliveryActor>, metrics: &Metrics) -> Claim {
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
pub(super) struct Slot {
    actor: Addr<DeliveryActor>,
    transacted: Transacted,
}

impl Slot {
    pub(super) fn new(number: u64, actor: Addr<DeliveryActor>) -> Slot {
        let transacted =
            Transacted { number, health: Health::Unknown, connection: None, recipients_max: None };
        Slot { actor, transacted }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Transacted { number, health, recipients_max, .. } = self.transacted;
        let connection = self.transacted.connection.take();
        self.actor.do_send(Transacted { number, health, connection, recipients_max });
    }
}

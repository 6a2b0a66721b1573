//! What operators do with the queue: found a slice at a time, done a batch at a time, so that neither a snapshot nor a
//! commit grows with the queue, and mail goes on between batches.

use crate::{Clock, Metrics, Reporter, StoreWriter, WriteError};
use mail::{HoldRuleId, QueueId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    Place, QueueAction, QueueFilter, QueueOperation, Report, Store, StoreError,
    records::{Hold, HoldRuleRecord, QueueRecord},
};

/// Messages changed in one commit.
const BATCH: usize = 500;
/// The same where each may come with a report.
const BATCH_WITH_REPORTS: usize = 100;

/// Something done with every message that a filter finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// See [`QueueAction`].
    Hold(Hold),
    /// See [`QueueAction`].
    Release,
    /// Try them now.
    TryNow,
    /// See [`QueueAction`].
    Schedule(Timestamp),
    /// See [`QueueAction`].
    Postpone(Duration),
    /// See [`QueueAction`].
    SetTransport(Option<String>),
    /// See [`QueueAction`].
    SetRequireTls(Option<bool>),
    /// Give them up for that reason.
    Fail(String),
    /// See [`QueueAction`].
    Cancel,
}

/// Messages of the queue, or hooks, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch<Id = QueueId> {
    /// It begins behind this one; `None`: at the first.
    pub after: Option<Id>,
    /// It ends with this one.
    pub last: Id,
}

impl<Id: PartialOrd> Stretch<Id> {
    /// What is left of it where a list goes on behind `next`.
    pub(crate) fn behind(self, next: Option<Id>) -> Option<Stretch<Id>> {
        next.filter(|next| *next < self.last).map(|next| Stretch { after: Some(next), ..self })
    }
}

/// What was done by a part of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<Id = QueueId> {
    /// Messages or hooks that changed.
    pub changed: usize,
    /// Of the ids that the filter names, those that it found.
    pub found: Vec<Id>,
    /// What is still to be done.
    pub rest: Option<Stretch<Id>>,
}

/// What operations need.
#[derive(Clone)]
pub struct Operations {
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) reporter: Reporter,
}

impl Operations {
    /// Does it with every message of the queue that `filter` finds and that was queued before now; returns how many
    /// that changed.
    ///
    /// # Errors
    /// What is done by then stays done.
    pub async fn operate(&self, filter: &QueueFilter, operation: &Operation) -> Result<usize, WriteError> {
        let (mut stretch, mut changed) = (None, 0);
        loop {
            let part = self.operate_part(filter, operation, stretch).await?;
            changed += part.changed;
            match part.rest {
                Some(rest) => stretch = Some(rest),
                None => return Ok(changed),
            }
            // A slice without a match is read at once; whoever shares the thread gets a turn.
            tokio::task::yield_now().await;
        }
    }

    /// Does it with some of the messages in `stretch`, by default with some of all that are queued now.
    ///
    /// # Errors
    /// When nothing of this part is done.
    pub async fn operate_part(
        &self,
        filter: &QueueFilter,
        operation: &Operation,
        stretch: Option<Stretch>,
    ) -> Result<Part, WriteError> {
        let limit = if matches!(operation, Operation::Fail(_)) { BATCH_WITH_REPORTS } else { BATCH };
        let failed = |error: StoreError| WriteError::Failed(Arc::new(error));
        let (stretch, slice) = self
            .store
            .read(|view| {
                let stretch = match stretch {
                    Some(stretch) => stretch,
                    None => Stretch { after: None, last: view.last_queue_id()? },
                };
                let place = Place::Submitted(stretch.after);
                Ok((stretch, view.queue_slice(filter, place, false, limit)?))
            })
            .map_err(failed)?;
        let messages: Vec<_> = slice.rows.into_iter().take_while(|(id, _)| *id <= stretch.last).collect();
        let changed = match messages.is_empty() {
            true => 0,
            false => self.batch(filter, operation, &messages).await?,
        };
        let next = match slice.next {
            Some(Place::Submitted(next)) => next,
            Some(Place::NextAttempt(_)) | None => None,
        };
        let found = match filter.ids.is_empty() {
            true => Vec::new(),
            false => messages.into_iter().map(|(id, _)| id).collect(),
        };
        Ok(Part { changed, found, rest: stretch.behind(next) })
    }

    /// Adds a hold rule and holds what it fits of the queue; returns its id and how many messages that changed.
    ///
    /// # Errors
    /// Where that breaks off, adding the rule again goes on with it.
    pub async fn add_hold_rule(&self, rule: HoldRuleRecord) -> Result<(HoldRuleId, usize), WriteError> {
        let id = self.writer.add_hold_rule(rule.clone()).await?;
        let held = self.operate(&rule.unheld(), &Operation::Hold(Hold::Rule(id))).await?;
        Ok((id, held))
    }

    /// Removes a hold rule; releases nothing.
    ///
    /// # Errors
    /// `Refused(NotFound)` when there is none with that id.
    pub async fn remove_hold_rule(&self, id: HoldRuleId) -> Result<(), WriteError> {
        self.writer.remove_hold_rule(id).await
    }

    async fn batch(
        &self,
        filter: &QueueFilter,
        operation: &Operation,
        messages: &[(QueueId, QueueRecord)],
    ) -> Result<usize, WriteError> {
        let now = self.clock.now();
        let action = match operation {
            Operation::Hold(hold) => QueueAction::Hold(*hold),
            Operation::Release => QueueAction::Release,
            Operation::TryNow => QueueAction::Schedule(now),
            Operation::Schedule(at) => QueueAction::Schedule(*at),
            Operation::Postpone(by) => QueueAction::Postpone(*by),
            Operation::SetTransport(transport) => QueueAction::SetTransport(transport.clone()),
            Operation::SetRequireTls(require_tls) => QueueAction::SetRequireTls(*require_tls),
            Operation::Fail(reason) => {
                QueueAction::Fail { reason: reason.clone(), reports: self.reports(messages, now).await }
            }
            Operation::Cancel => QueueAction::Cancel,
        };
        let ids = messages.iter().map(|(id, _)| *id).collect();
        let change = QueueOperation { ids, filter: filter.clone(), now, action };
        let changed = self.writer.operate(change).await?;
        let outcome = match operation {
            Operation::Fail(_) => "failed",
            Operation::Cancel => "canceled",
            Operation::Hold(_)
            | Operation::Release
            | Operation::TryNow
            | Operation::Schedule(_)
            | Operation::Postpone(_)
            | Operation::SetTransport(_)
            | Operation::SetRequireTls(_) => return Ok(changed),
        };
        self.metrics.retired.with_label_values(&[outcome]).inc_by(changed as u64);
        Ok(changed)
    }

    async fn reports(
        &self,
        messages: &[(QueueId, QueueRecord)],
        now: Timestamp,
    ) -> BTreeMap<QueueId, Report> {
        let mut reports = BTreeMap::new();
        for (id, message) in messages {
            if let Some(report) = self.reporter.failed_by_operator(message.clone(), now).await {
                reports.insert(*id, report);
            }
        }
        reports
    }
}

//! What operators do with messages of the queue, a bounded number in one change.

use crate::{
    StoreError,
    change::{Applied, Decision, QueueAction, QueueOperation, Settlement, Suppress},
    records::{Attempt, AttemptResult, Hold, QueueRecord},
    txn::{Outcome, Txn},
};
use mail::{EnhancedCode, QueueId, Timestamp};

impl Attempt {
    /// What stands in a message's history where somebody gave it up: no host was spoken to.
    pub fn given_up(now: Timestamp, reason: &str) -> Attempt {
        Attempt {
            started: now,
            duration_ms: 0,
            connect_ms: 0,
            host: String::new(),
            address: None,
            tls: None,
            policy: None,
            result: AttemptResult::Failed {
                error: reason.to_owned(),
                // Delivery not authorized (RFC 3463, 3.8).
                enhanced: EnhancedCode::new(5, 7, 1),
                permanent: true,
            },
        }
    }
}

impl Txn<'_> {
    /// Acts on the messages that the filter still fits; the others left or changed since they were read.
    pub(crate) fn operate(&mut self, operation: &QueueOperation) -> Outcome<Applied> {
        let mut changed = 0;
        for id in &operation.ids {
            let record = self.tables.queue.get(&self.rw, id)?;
            match record.filter(|record| operation.filter.matches(*id, record)) {
                Some(record) => changed += usize::from(self.act(*id, record, operation)?),
                None => self.drop_report_about(*id, operation),
            }
        }
        Ok(Ok(Applied::Operated { changed }))
    }

    /// Whether that changed anything.
    fn act(
        &mut self,
        id: QueueId,
        before: QueueRecord,
        operation: &QueueOperation,
    ) -> Result<bool, StoreError> {
        let mut record = before.clone();
        match &operation.action {
            QueueAction::Hold(hold) => {
                if record.hold.is_some() || !self.is_in_force(*hold)? {
                    return Ok(false);
                }
                record.hold = Some(*hold);
            }
            QueueAction::Release => record.hold = None,
            QueueAction::Schedule(at) => record.next_attempt = *at,
            QueueAction::Postpone(by) => record.next_attempt = record.next_attempt.after(*by),
            QueueAction::SetTransport(transport) => record.transport.clone_from(transport),
            QueueAction::SetRequireTls(require_tls) => record.require_tls = *require_tls,
            QueueAction::Fail { reason, reports } => {
                let decision = Decision::Failed { verdict: None, suppress: Suppress::No };
                let settlement = Settlement {
                    id,
                    now: operation.now,
                    attempt: Some(Attempt::given_up(operation.now, reason)),
                    decision,
                    report: reports.get(&id).cloned(),
                };
                self.settle_one(&settlement, before)?;
                return Ok(true);
            }
            QueueAction::Cancel => {
                let decision = Decision::Cancel;
                let settlement = Settlement { id, now: operation.now, attempt: None, decision, report: None };
                self.settle_one(&settlement, before)?;
                return Ok(true);
            }
        }
        if record == before {
            return Ok(false);
        }
        self.replace(id, &before, &record)?;
        if record.hold.is_none() {
            self.touched.destinations.insert(record.destination);
        }
        Ok(true)
    }

    /// A rule may have been removed while its messages were being marked.
    fn is_in_force(&self, hold: Hold) -> Result<bool, StoreError> {
        match hold {
            Hold::Operator => Ok(true),
            Hold::Rule(rule) => self.tables.hold_rules.contains(&self.rw, &rule),
        }
    }

    fn drop_report_about(&mut self, id: QueueId, operation: &QueueOperation) {
        if let QueueAction::Fail { reports, .. } = &operation.action
            && let Some(report) = reports.get(&id)
        {
            self.drop_unused(&report.content);
        }
    }
}

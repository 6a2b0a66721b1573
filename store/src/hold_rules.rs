//! Rules that hold messages. A rule marks each message as it is accepted; those that were queued before are marked by
//! [`crate::QueueAction::Hold`], a batch at a time.

use crate::{
    Refusal, StoreError, View,
    change::Applied,
    filter::QueueFilter,
    records::{HoldRuleRecord, QueueRecord},
    txn::{Outcome, Txn},
};
use mail::HoldRuleId;
use std::{ops::Bound, rc::Rc};

/// All are looked at for every message.
pub(crate) const RULES_MAX: usize = 1000;

impl HoldRuleRecord {
    /// The messages that it holds and that are not held yet.
    pub fn unheld(&self) -> QueueFilter {
        QueueFilter {
            account: self.account,
            sender_domain: self.sender_domain.clone(),
            recipient_domain: self.recipient_domain.clone(),
            hold: Some(false),
            ..QueueFilter::default()
        }
    }
}

impl Txn<'_> {
    /// One that says the same as another is that one, so that adding it again finishes what was broken off.
    pub(crate) fn add_hold_rule(&mut self, rule: &HoldRuleRecord) -> Outcome<Applied> {
        let rules = self.rules()?;
        let same =
            |present: &HoldRuleRecord| HoldRuleRecord { created: rule.created, ..present.clone() } == *rule;
        if let Some((id, _)) = rules.iter().find(|(_, present)| same(present)) {
            return Ok(Ok(Applied::HoldRuleAdded(*id)));
        }
        if rules.len() >= RULES_MAX {
            return Ok(Err(Refusal::TooManyHoldRules));
        }
        self.counters.hold_rule += 1;
        let id = HoldRuleId(self.counters.hold_rule);
        self.tables.hold_rules.put(&mut self.rw, &id, rule)?;
        self.hold_rules = None;
        Ok(Ok(Applied::HoldRuleAdded(id)))
    }

    pub(crate) fn remove_hold_rule(&mut self, id: HoldRuleId) -> Outcome<Applied> {
        if !self.tables.hold_rules.delete(&mut self.rw, &id)? {
            return Ok(Err(Refusal::NotFound));
        }
        self.hold_rules = None;
        Ok(Ok(Applied::HoldRuleRemoved))
    }

    /// The first rule that holds a message.
    pub(crate) fn holding_rule(&mut self, message: &QueueRecord) -> Result<Option<HoldRuleId>, StoreError> {
        let rules = self.rules()?;
        Ok(rules.iter().find(|(_, rule)| rule.holds(message)).map(|(id, _)| *id))
    }

    /// All rules, read once a transaction.
    fn rules(&mut self) -> Result<Rc<[(HoldRuleId, HoldRuleRecord)]>, StoreError> {
        if let Some(rules) = &self.hold_rules {
            return Ok(rules.clone());
        }
        let rules: Rc<[_]> = self.tables.hold_rules.from(&self.rw, Bound::Unbounded, usize::MAX)?.into();
        self.hold_rules = Some(rules.clone());
        Ok(rules)
    }
}

impl View<'_> {
    /// All hold rules, oldest first.
    pub fn hold_rules(&self) -> Result<Vec<(HoldRuleId, HoldRuleRecord)>, StoreError> {
        self.tables.hold_rules.from(&self.txn, Bound::Unbounded, usize::MAX)
    }
}

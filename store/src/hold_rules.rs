//! Rules that hold messages: each message as it is accepted, and those that were queued before.

use crate::{
    StoreError, View,
    records::{HoldRuleRecord, QueueRecord},
    txn::Txn,
};
use mail::HoldRuleId;
use std::{ops::Bound, rc::Rc};

impl Txn<'_> {
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

//! A write transaction: the tables, the counters, and what the commit will have touched.

use crate::{
    Refusal, StoreError,
    change::{Applied, Change},
    directory,
    records::{AccountRecord, HoldRuleRecord},
    tables::Tables,
    usage::OpenUsage,
};
use heed::{RoTxn, RwTxn};
use mail::{AccountId, HoldRuleId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

/// The last id given out, for every kind of id, and what is counted as it changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) queue: u64,
    pub(crate) content: u64,
    pub(crate) hook: u64,
    pub(crate) msg: u64,
    pub(crate) suppression: u64,
    pub(crate) mailbox: u32,
    pub(crate) account: u32,
    /// Not an id: messages of the queue that wait for a later time than that of their acceptance.
    pub(crate) deferred: u64,
    pub(crate) hold_rule: u64,
}

/// What a commit touched: hints for those who do the work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Destinations with new or earlier work.
    pub destinations: BTreeSet<String>,
    /// URLs with new hooks.
    pub urls: BTreeSet<String>,
    /// Accounts with new events in their log.
    pub event_logs: BTreeSet<AccountId>,
    /// Domains or accounts changed.
    pub directory: bool,
}

impl Counters {
    pub(crate) fn read(txn: &RoTxn<'_>, tables: &Tables) -> Result<Counters, StoreError> {
        match tables.meta.get(txn, COUNTERS)?.map(postcard::take_from_bytes) {
            Some(Ok((counters, []))) => Ok(counters),
            Some(_) => Err(StoreError::Damaged { table: "meta" }),
            None => Ok(Counters::default()),
        }
    }
}

pub(crate) const COUNTERS: &str = "counters";

pub(crate) struct Txn<'e> {
    pub(crate) rw: RwTxn<'e>,
    pub(crate) tables: &'e Tables,
    pub(crate) counters: Counters,
    pub(crate) touched: Touched,
    /// Content files that nothing refers to once this is committed.
    pub(crate) dropped_files: Vec<[u8; 16]>,
    pub(crate) usages: HashMap<AccountId, OpenUsage>,
    /// All hold rules, once they were read.
    pub(crate) hold_rules: Option<Rc<[(HoldRuleId, HoldRuleRecord)]>>,
    accounts: HashMap<AccountId, Option<Rc<AccountRecord>>>,
    pub(crate) event_heads: HashMap<AccountId, u64>,
}

/// What applying one change came to: an error ends the whole transaction, a refusal only the change.
pub(crate) type Outcome<T> = Result<Result<T, Refusal>, StoreError>;

impl<'e> Txn<'e> {
    pub(crate) fn new(rw: RwTxn<'e>, tables: &'e Tables) -> Result<Txn<'e>, StoreError> {
        let counters = Counters::read(&rw, tables)?;
        Ok(Txn {
            rw,
            tables,
            counters,
            touched: Touched::default(),
            dropped_files: Vec::new(),
            usages: HashMap::new(),
            hold_rules: None,
            accounts: HashMap::new(),
            event_heads: HashMap::new(),
        })
    }

    pub(crate) fn apply(&mut self, change: &Change) -> Outcome<Applied> {
        match change {
            Change::Accept(submission) => self.accept(submission),
            Change::Arrive(arrival) => self.arrive(arrival),
            Change::Settle(settlements) => self.settle(settlements),
            Change::Operate(operation) => self.operate(operation),
            Change::AddHoldRule(rule) => self.add_hold_rule(rule),
            Change::RemoveHoldRule(id) => self.remove_hold_rule(*id),
            Change::OperateHooks(operation) => self.operate_hooks(operation),
            Change::ResendHooks(resend) => self.resend_hooks(resend),
            Change::SettleHooks(settlements) => self.settle_hooks(settlements),
            Change::ChangeMessage { account, id, action } => self.change_message(*account, *id, action),
            Change::Suppress(new) => self.suppress(new),
            Change::SuppressMany(new) => self.suppress_many(new),
            Change::Unsuppress { account, address } => self.unsuppress(*account, address),
            Change::PutDomain(domain) => self.put_domain(domain),
            Change::PutAccount(account) => self.put_account(account),
            Change::PutScramKeys { account, password_hash, keys } => {
                self.put_scram_keys(*account, password_hash, keys)
            }
            Change::KeepLoginSecret(secret) => self.keep_login_secret(secret),
            Change::ChangeDirectory(change) => self.change_directory(change),
            Change::PutStsPolicy { domain, policy } => self.put_sts_policy(domain, policy.as_ref()),
            Change::Sweep(sweep) => self.sweep(sweep),
        }
    }

    /// Writes the counters and syncs. Returns what was touched and which files are to be removed.
    pub(crate) fn commit(mut self) -> Result<(Touched, Vec<[u8; 16]>), StoreError> {
        for (account, head) in std::mem::take(&mut self.event_heads) {
            self.tables.event_heads.put(&mut self.rw, &account, &head)?;
        }
        self.write_usages()?;
        let counters = postcard::to_stdvec(&self.counters).expect("counters are plain numbers");
        self.tables.meta.put(&mut self.rw, COUNTERS, &counters)?;
        self.rw.commit()?;
        Ok((self.touched, self.dropped_files))
    }

    /// An account, read once a transaction.
    pub(crate) fn account(&mut self, id: AccountId) -> Result<Option<Rc<AccountRecord>>, StoreError> {
        if let Some(account) = self.accounts.get(&id) {
            return Ok(account.clone());
        }
        let account = self.tables.accounts.get(&self.rw, &id)?.map(Rc::new);
        self.accounts.insert(id, account.clone());
        Ok(account)
    }

    /// Forgets what [`Txn::account`] read, for a change that no operator has to know of.
    pub(crate) fn directory_amended(&mut self) {
        self.accounts.clear();
        self.touched.directory = true;
    }

    /// As [`Txn::directory_amended`], and makes it the next generation.
    pub(crate) fn directory_changed(&mut self) -> Result<(), StoreError> {
        self.directory_amended();
        let generation = directory::generation(&self.rw, self.tables)? + 1;
        self.tables.meta.put(&mut self.rw, directory::GENERATION, &generation.to_be_bytes())
    }

    /// The place of the account's next event.
    pub(crate) fn next_event(&mut self, account: AccountId) -> Result<u64, StoreError> {
        let head = match self.event_heads.get(&account) {
            Some(head) => *head,
            None => self.tables.event_heads.get(&self.rw, &account)?.unwrap_or(1),
        };
        self.event_heads.insert(account, head + 1);
        Ok(head)
    }
}

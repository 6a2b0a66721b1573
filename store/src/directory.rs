//! Domains and accounts: the records, and the snapshot in memory that every lookup uses.

use crate::{
    StoreError,
    change::Applied,
    records::{AccountRecord, AddressPattern, DomainRecord},
    tables::Tables,
    txn::{Outcome, Txn},
};
use heed::RoTxn;
use mail::{AccountId, Address, DkimKey, DkimSigner, Domain};
use std::{collections::HashMap, ops::Bound, sync::Arc};

impl Txn<'_> {
    pub(crate) fn put_domain(&mut self, domain: &DomainRecord) -> Outcome<Applied> {
        self.tables.domains.put(&mut self.rw, &domain.name.as_ascii().into(), domain)?;
        self.accounts_changed();
        Ok(Ok(Applied::DomainPut(domain.name.clone())))
    }

    pub(crate) fn put_account(&mut self, account: &AccountRecord) -> Outcome<Applied> {
        let all = self.tables.accounts.from(&self.rw, Bound::Unbounded, usize::MAX)?;
        let id = match all.into_iter().find(|(_, present)| present.name == account.name) {
            Some((id, _)) => id,
            None => {
                self.counters.account += 1;
                let id = AccountId(self.counters.account);
                self.make_standard_mailboxes(id)?;
                id
            }
        };
        self.tables.accounts.put(&mut self.rw, &id, account)?;
        self.accounts_changed();
        Ok(Ok(Applied::AccountPut(id)))
    }
}

/// All domains and accounts, as of one commit.
#[derive(Debug, Default)]
pub struct Directory {
    domains: HashMap<Domain, Arc<DirectoryDomain>>,
    accounts: HashMap<AccountId, Arc<DirectoryAccount>>,
    addresses: HashMap<String, AccountId>,
    catch_alls: HashMap<Domain, AccountId>,
}

/// A domain with its keys ready to sign.
#[derive(Debug)]
pub struct DirectoryDomain {
    /// The record.
    pub record: DomainRecord,
    /// A signer for each key that could be read.
    pub signers: Vec<DkimSigner>,
}

/// An account with its id.
#[derive(Debug)]
pub struct DirectoryAccount {
    /// Its id.
    pub id: AccountId,
    /// The record.
    pub record: AccountRecord,
}

impl Directory {
    pub(crate) fn load(txn: &RoTxn<'_>, tables: &Tables) -> Result<Directory, StoreError> {
        let mut directory = Directory::default();
        for (_, record) in tables.domains.from(txn, Bound::Unbounded, usize::MAX)? {
            let signers = record
                .dkim
                .iter()
                .filter_map(|key| {
                    let private = DkimKey::from_pkcs8_der(&key.pkcs8).ok()?;
                    DkimSigner::new(record.name.clone(), &key.selector, Arc::new(private)).ok()
                })
                .collect();
            directory.domains.insert(record.name.clone(), Arc::new(DirectoryDomain { record, signers }));
        }
        for (id, record) in tables.accounts.from(txn, Bound::Unbounded, usize::MAX)? {
            for pattern in &record.addresses {
                match pattern {
                    AddressPattern::Address(address) => {
                        directory.addresses.insert(lookup_form(address), id);
                    }
                    AddressPattern::CatchAll(domain) => {
                        directory.catch_alls.insert(domain.clone(), id);
                    }
                }
            }
            directory.accounts.insert(id, Arc::new(DirectoryAccount { id, record }));
        }
        Ok(directory)
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Option<&Arc<DirectoryAccount>> {
        self.accounts.get(&id)
    }

    /// Every account, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<DirectoryAccount>> {
        self.accounts.values()
    }

    /// A domain.
    pub fn domain(&self, name: &Domain) -> Option<&Arc<DirectoryDomain>> {
        self.domains.get(name)
    }

    /// Every domain, in no order.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<DirectoryDomain>> {
        self.domains.values()
    }

    /// Whose address it is: by the whole address, else by what stands before the domain's separator, else by
    /// the domain's catch-all. Localparts are compared without regard to case.
    pub fn owner(&self, address: &Address) -> Option<&Arc<DirectoryAccount>> {
        let exact = self.addresses.get(&lookup_form(address));
        let base = || {
            let separator = self.domains.get(address.domain())?.record.catchall_separator;
            let (base, _) = address.split_at_separator(separator);
            self.addresses.get(&lookup_form(&base))
        };
        let id = exact.or_else(base).or_else(|| self.catch_alls.get(address.domain()))?;
        self.accounts.get(id)
    }
}

fn lookup_form(address: &Address) -> String {
    format!("{}@{}", address.localpart().as_str().to_lowercase(), address.domain().as_ascii())
}

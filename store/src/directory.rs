//! Domains and accounts: the records, and the snapshot in memory that every lookup uses.

use crate::{
    Refusal, StoreError,
    change::{Applied, DirectoryChange},
    records::{AccountRecord, AddressPattern, DomainRecord, ScramKeys},
    tables::Tables,
    txn::{Outcome, Txn},
};
use heed::RoTxn;
use mail::{AccountId, Address, DkimKey, DkimSigner, Domain};
use std::{collections::HashMap, ops::Bound, sync::Arc};

/// The keys of the meta table.
pub(crate) const GENERATION: &str = "directory";
const ADMIN_PASSWORD: &str = "admin_password";
const LOGIN_SECRET: &str = "login_secret";

impl Txn<'_> {
    pub(crate) fn put_domain(&mut self, domain: &DomainRecord) -> Outcome<Applied> {
        self.tables.domains.put(&mut self.rw, &domain.name.as_ascii().into(), domain)?;
        self.directory_changed()?;
        Ok(Ok(Applied::DomainPut(domain.name.clone())))
    }

    pub(crate) fn put_account(&mut self, account: &AccountRecord) -> Outcome<Applied> {
        let id = match self.account_named(&account.name)? {
            Some(id) => id,
            None => {
                self.counters.account += 1;
                let id = AccountId(self.counters.account);
                self.make_standard_mailboxes(id)?;
                id
            }
        };
        self.tables.accounts.put(&mut self.rw, &id, account)?;
        self.directory_changed()?;
        Ok(Ok(Applied::AccountPut(id)))
    }

    /// Is the same generation: keys that an operator's change takes away again are made again at the next login.
    pub(crate) fn put_scram_keys(
        &mut self,
        id: AccountId,
        password_hash: &str,
        keys: &ScramKeys,
    ) -> Outcome<Applied> {
        let Some(mut account) = self.tables.accounts.get(&self.rw, &id)? else {
            return Ok(Err(Refusal::NotFound));
        };
        if account.password_hash != password_hash || account.scram.is_some() {
            return Ok(Err(Refusal::DirectoryChanged));
        }
        account.scram = Some(keys.clone());
        self.tables.accounts.put(&mut self.rw, &id, &account)?;
        self.directory_amended();
        Ok(Ok(Applied::AccountPut(id)))
    }

    pub(crate) fn keep_login_secret(&mut self, secret: &[u8; 32]) -> Outcome<Applied> {
        if self.tables.meta.get(&self.rw, LOGIN_SECRET)?.is_none() {
            self.tables.meta.put(&mut self.rw, LOGIN_SECRET, secret)?;
            self.directory_amended();
        }
        Ok(Ok(Applied::LoginSecretKept))
    }

    pub(crate) fn change_directory(&mut self, change: &DirectoryChange) -> Outcome<Applied> {
        if generation(&self.rw, self.tables)? != change.seen {
            return Ok(Err(Refusal::DirectoryChanged));
        }
        let mut leaving = Vec::with_capacity(change.remove_accounts.len());
        for name in &change.remove_accounts {
            let Some(id) = self.account_named(name)? else { return Ok(Err(Refusal::NotFound)) };
            leaving.push(id);
        }
        for domain in &change.remove_domains {
            if !self.tables.domains.contains(&self.rw, &domain.as_ascii().into())? {
                return Ok(Err(Refusal::NotFound));
            }
        }
        if self.has_work(&leaving, &change.remove_domains)? {
            return Ok(Err(Refusal::StillInUse));
        }
        for id in leaving {
            self.remove_account(id)?;
        }
        for domain in &change.remove_domains {
            self.tables.domains.delete(&mut self.rw, &domain.as_ascii().into())?;
        }
        if let Some(hash) = &change.admin_password_hash {
            self.tables.meta.put(&mut self.rw, ADMIN_PASSWORD, hash.as_bytes())?;
        }
        for domain in &change.put_domains {
            let _ = self.put_domain(domain)?;
        }
        for account in &change.put_accounts {
            let _ = self.put_account(account)?;
        }
        self.directory_changed()?;
        Ok(Ok(Applied::DirectoryChanged))
    }

    fn account_named(&self, name: &str) -> Result<Option<AccountId>, StoreError> {
        let all = self.tables.accounts.from(&self.rw, Bound::Unbounded, usize::MAX)?;
        Ok(all.into_iter().find(|(_, present)| present.name == name).map(|(id, _)| id))
    }
}

/// Counts the changes to domains and accounts.
pub(crate) fn generation(txn: &RoTxn<'_>, tables: &Tables) -> Result<u64, StoreError> {
    match tables.meta.get(txn, GENERATION)? {
        None => Ok(0),
        Some(bytes) => match bytes.try_into() {
            Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
            Err(_) => Err(StoreError::Damaged { table: "meta" }),
        },
    }
}

/// All domains and accounts, as of one commit.
#[derive(Default)]
pub struct Directory {
    domains: HashMap<Domain, Arc<DirectoryDomain>>,
    accounts: HashMap<AccountId, Arc<DirectoryAccount>>,
    addresses: HashMap<String, AccountId>,
    catch_alls: HashMap<Domain, AccountId>,
    generation: u64,
    admin_password_hash: Option<String>,
    login_secret: Option<[u8; 32]>,
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
        let hash = tables.meta.get(txn, ADMIN_PASSWORD)?.map(<[u8]>::to_vec).map(String::from_utf8);
        let mut directory = Directory {
            generation: generation(txn, tables)?,
            login_secret: tables.meta.get(txn, LOGIN_SECRET)?.and_then(|secret| secret.try_into().ok()),
            admin_password_hash: hash.transpose().map_err(|_| StoreError::Damaged { table: "meta" })?,
            ..Directory::default()
        };
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

    /// How many changes it has seen: two with the same number are the same.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The hash of the operator's password for the admin pages; a secret.
    pub fn admin_password_hash(&self) -> Option<&str> {
        self.admin_password_hash.as_deref()
    }

    /// What the answers to logins of users who do not exist are made of, for as long as the store exists; a secret.
    pub fn login_secret(&self) -> Option<&[u8; 32]> {
        self.login_secret.as_ref()
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

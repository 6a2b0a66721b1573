//! Who logs in: the accounts that prove their passwords, over all ways in.

mod comparisons;
mod metrics;
mod missing_keys;
mod scram;
#[cfg(test)]
mod tests;

use crate::{
    limiter::{LoginLimiter, TooMany},
    password::{Password, hash_password},
};
use actors::StoreWriter;
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use comparisons::{Comparisons, Digest};
use config::Limits;
use mail::Address;
use metrics::Metrics;
use missing_keys::MissingKeys;
use prometheus::Registry;
use std::{net::IpAddr, sync::Arc};
use store::{Directory, DirectoryAccount, records::AddressPattern};

/// An account that proved its password.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) account: Arc<DirectoryAccount>,
    /// The address it logged in with, as the account has it.
    pub(crate) address: Address,
}

impl Login {
    /// Whether messages sent with this login get FromIDs.
    pub(crate) fn wants_from_ids(&self) -> bool {
        self.account
            .record
            .from_id_login_addresses
            .iter()
            .any(|address| address.is_same_in_any_case(&self.address))
    }
}

/// Why there is no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginError {
    /// The credentials are wrong, or the account may not log in.
    Wrong,
    /// The client failed too often; what it gave was not looked at.
    TooMany(TooMany),
    /// Too many wait for their passwords to be compared.
    Busy,
    /// The comparison broke down.
    Failed,
}

impl From<TooMany> for LoginError {
    fn from(too_many: TooMany) -> LoginError {
        LoginError::TooMany(too_many)
    }
}

/// Where a client comes from, and over which way: for limits, counters and the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) way: Way,
}

/// A way in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Webapi,
    Submission,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Webapi => "webapi",
            Way::Submission => "submission",
        }
    }
}

/// Checks credentials.
pub struct Logins {
    limiter: LoginLimiter,
    comparisons: Comparisons,
    keys: MissingKeys,
    metrics: Metrics,
    /// For a store without a secret of its own.
    secret: [u8; 32],
    key: hmac::Key,
    /// Compared for users who do not exist, so that time does not tell. The hash of what nobody knows: a right
    /// password would be remembered.
    nobody: String,
}

impl Logins {
    /// # Errors
    /// When the registry has the counters already.
    pub(crate) fn new(
        limits: &Limits,
        limiter: LoginLimiter,
        writer: StoreWriter,
        registry: &Registry,
    ) -> prometheus::Result<Logins> {
        let metrics = Metrics::register(registry)?;
        let random = BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
        Ok(Logins {
            limiter,
            keys: MissingKeys::new(writer),
            comparisons: Comparisons::new(limits, metrics.comparisons.clone()),
            metrics,
            secret: rand::random(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            nobody: hash_password(&random).expect("the text is a password"),
        })
    }

    /// The login that a user name and a password prove. What fails is counted.
    pub(crate) async fn with_password(
        &self,
        directory: &Directory,
        user: &str,
        password: &str,
        client: Client,
    ) -> Result<Login, LoginError> {
        let Ok(password) = Password::new(password) else { return Err(self.unreadable(client).await) };
        let checked = self.check(directory, user, &password, client.address).await;
        checked.map_err(|error| self.counted(error, client))
    }

    /// Credentials that cannot even be read are wrong ones.
    pub(crate) async fn unreadable(&self, client: Client) -> LoginError {
        let error = match self.limiter.begin(client.address).await {
            Ok(login_try) => {
                login_try.failed();
                LoginError::Wrong
            }
            Err(too_many) => too_many.into(),
        };
        self.counted(error, client)
    }

    async fn check(
        &self,
        directory: &Directory,
        user: &str,
        password: &Password,
        client: IpAddr,
    ) -> Result<Login, LoginError> {
        let login = find(directory, user).filter(|login| !login.account.record.disabled);
        let hash = login.as_ref().map_or(&self.nobody, |login| &login.account.record.password_hash);
        let digest = self.digest(user, hash, password);
        if self.comparisons.remembers(&digest) {
            self.limiter.pass(client)?;
            return login.ok_or(LoginError::Wrong);
        }
        let login_try = self.limiter.begin(client).await?;
        let right = self.comparisons.is_right(digest, hash, password).await?;
        match login.filter(|_| right) {
            Some(login) => {
                login_try.succeeded();
                self.keys.learn(&login.account, password);
                Ok(login)
            }
            None => {
                login_try.failed();
                Err(LoginError::Wrong)
            }
        }
    }

    /// Has the hash, so that a changed password is not found, and the user as given, so that those who do not exist
    /// share no more than those who do.
    fn digest(&self, user: &str, hash: &str, password: &Password) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for text in [user, hash] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        context.update(password.as_bytes());
        let mut digest = Digest::default();
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn counted(&self, error: LoginError, client: Client) -> LoginError {
        self.metrics.count(error, client.way);
        tracing::debug!(remote = %client.address, way = client.way.name(), ?error, "a login failed");
        error
    }
}

/// The account with that address. A catch-all is no login, nor is an address with something behind the separator.
fn find(directory: &Directory, user: &str) -> Option<Login> {
    let user = Address::parse(user).ok()?;
    let account = directory.owner(&user)?;
    let address = account.record.addresses.iter().find_map(|pattern| match pattern {
        AddressPattern::Address(address) => address.is_same_in_any_case(&user).then_some(address),
        AddressPattern::CatchAll(_) => None,
    })?;
    Some(Login { account: account.clone(), address: address.clone() })
}

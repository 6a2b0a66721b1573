//! Who calls: HTTP basic authentication (RFC 7617) of accounts.

use crate::password::{Password, hash_password};
use actix_web::http::header::HeaderValue;
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use config::Limits;
use mail::{AccountId, Address};
use moka::sync::Cache;
use prometheus::IntCounter;
use std::sync::Arc;
use store::{Directory, DirectoryAccount, records::AddressPattern};
use tokio::sync::Semaphore;

/// Passwords compared at a time: each takes a processor and 19 MiB.
const VERIFICATIONS_MAX: usize = 3;
/// Callers that may wait for their turn before others hear that the server is busy.
const WAITING_MAX: usize = 512;
/// The most octets of the header.
const HEADER_MAX: usize = 4_096;

/// An account that proved its password.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) account: Arc<DirectoryAccount>,
    /// The address it logged in with, as the account has it.
    pub(super) address: Address,
}

impl Login {
    /// Whether messages sent with this login get FromIDs.
    pub(super) fn wants_from_ids(&self) -> bool {
        self.account.record.from_id_login_addresses.iter().any(|address| same_address(address, &self.address))
    }
}

/// Why there is no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthError {
    /// No credentials were given; not a failed try.
    Missing,
    /// The credentials are wrong, or the account may not log in.
    Wrong,
    /// Too many wait for their passwords to be compared.
    Busy,
    /// The comparison broke down.
    Failed,
}

/// Checks credentials. Those that were right lately are remembered, as comparing them is slow on purpose.
pub(super) struct Logins {
    /// Keyed digests of accounts with their hash and password, so that a changed password is not found.
    known: Cache<[u8; 32], ()>,
    key: hmac::Key,
    verifying: Semaphore,
    waiting: Semaphore,
    /// Compared for users who do not exist, so that time does not tell.
    nobody: String,
    /// Comparisons made.
    comparisons: IntCounter,
}

impl Logins {
    pub(super) fn new(limits: &Limits, comparisons: IntCounter) -> Logins {
        Logins {
            known: Cache::builder()
                .max_capacity(limits.login_cache_entries)
                .time_to_live(limits.login_cache_ttl)
                .build(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            verifying: Semaphore::new(VERIFICATIONS_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            nobody: hash_password("nobody").expect("the text is a password"),
            comparisons,
        }
    }

    /// The login that an `Authorization` header proves.
    pub(super) async fn check(
        &self,
        directory: &Directory,
        header: Option<&HeaderValue>,
    ) -> Result<Login, AuthError> {
        let header = header.ok_or(AuthError::Missing)?;
        let (user, password) = credentials(header).ok_or(AuthError::Wrong)?;
        let login = find(directory, &user).filter(|login| !login.account.record.disabled);
        let hash = login.as_ref().map_or(&self.nobody, |login| &login.account.record.password_hash);
        let account = login.as_ref().map_or(AccountId::default(), |login| login.account.id);
        let digest = self.digest(account, hash, &password);
        if self.known.contains_key(&digest) {
            return login.ok_or(AuthError::Wrong);
        }
        let right = self.verify(digest, hash, password).await?;
        match login {
            Some(login) if right => {
                self.known.insert(digest, ());
                Ok(login)
            }
            _ => Err(AuthError::Wrong),
        }
    }

    /// Compares off the reactor, few at a time. Whoever waited looks first whether somebody with the same
    /// credentials was done meanwhile: many clients that start at once cost a few comparisons, not one each.
    async fn verify(&self, digest: [u8; 32], hash: &str, password: Password) -> Result<bool, AuthError> {
        let waiting = self.waiting.try_acquire().map_err(|_| AuthError::Busy)?;
        let _verifying = self.verifying.acquire().await.map_err(|_| AuthError::Failed)?;
        drop(waiting);
        if self.known.contains_key(&digest) {
            return Ok(true);
        }
        self.comparisons.inc();
        let hash = hash.to_owned();
        actix_web::web::block(move || password.matches(&hash)).await.map_err(|error| {
            tracing::error!(%error, "a password could not be compared");
            AuthError::Failed
        })
    }

    fn digest(&self, account: AccountId, hash: &str, password: &Password) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&account.0.to_be_bytes());
        context.update(&(hash.len() as u64).to_be_bytes());
        context.update(hash.as_bytes());
        context.update(password.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

/// User name and password of a `Basic` header.
fn credentials(header: &HeaderValue) -> Option<(String, Password)> {
    let header = header.to_str().ok().filter(|text| text.len() <= HEADER_MAX)?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), Password::new(password).ok()?))
}

/// The account with that address. A catch-all is no login, nor is an address with something behind the separator.
fn find(directory: &Directory, user: &str) -> Option<Login> {
    let user = Address::parse(user).ok()?;
    let account = directory.owner(&user)?;
    let address = account.record.addresses.iter().find_map(|pattern| match pattern {
        AddressPattern::Address(address) => same_address(address, &user).then_some(address),
        AddressPattern::CatchAll(_) => None,
    })?;
    Some(Login { account: account.clone(), address: address.clone() })
}

/// As the directory compares: localparts without regard to case.
fn same_address(one: &Address, other: &Address) -> bool {
    one.domain() == other.domain()
        && one.localpart().as_str().to_lowercase() == other.localpart().as_str().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{TestServer, basic};

    fn logins(server: &TestServer) -> Logins {
        Logins::new(&server.app.settings.limits, IntCounter::new("comparisons", "x").unwrap())
    }

    #[actix_web::test]
    async fn only_an_address_of_the_account_with_its_password_logs_in() {
        let server = TestServer::start().await;
        let logins = logins(&server);
        let directory = server.app.handles.store.directory();
        for (user, password, expected) in [
            ("rider@localhost", "te\u{301}st", Ok("rider@localhost")),
            ("RIDER@LOCALHOST", "tést", Ok("rider@localhost")),
            ("rider@localhost", "test", Err(AuthError::Wrong)),
            ("rider@localhost", "", Err(AuthError::Wrong)),
            ("rider+tag@localhost", "tést", Err(AuthError::Wrong)),
            ("anybody@all.example", "tést", Err(AuthError::Wrong)),
            ("nobody@localhost", "nobody", Err(AuthError::Wrong)),
            ("rider", "tést", Err(AuthError::Wrong)),
            ("disabled@localhost", "tést", Err(AuthError::Wrong)),
        ] {
            let login = logins.check(&directory, Some(&basic(user, password))).await;
            assert_eq!(login.map(|login| login.address.to_string()), expected.map(str::to_owned), "{user}");
        }
        assert_eq!(logins.check(&directory, None).await.unwrap_err(), AuthError::Missing);
    }

    #[actix_web::test]
    async fn what_is_no_basic_header_is_a_wrong_login() {
        let server = TestServer::start().await;
        let logins = logins(&server);
        let directory = server.app.handles.store.directory();
        for header in ["", "Basic", "Basic !", "Bearer abc", "Basic cmlkZXI="] {
            let header = HeaderValue::from_static(header);
            assert_eq!(logins.check(&directory, Some(&header)).await.unwrap_err(), AuthError::Wrong);
        }
    }

    #[actix_web::test]
    async fn a_right_login_is_remembered_until_the_password_changes() {
        let server = TestServer::start().await;
        let logins = logins(&server);
        let header = basic("rider@localhost", "tést");
        let directory = server.app.handles.store.directory();
        logins.check(&directory, Some(&header)).await.unwrap();
        // With no permit left, only what is remembered can succeed.
        logins.waiting.forget_permits(WAITING_MAX);
        assert!(logins.check(&directory, Some(&header)).await.is_ok());
        let wrong = basic("rider@localhost", "wrong");
        assert_eq!(logins.check(&directory, Some(&wrong)).await.unwrap_err(), AuthError::Busy);

        let mut record = directory.accounts().find(|a| a.record.name == "rider").unwrap().record.clone();
        record.password_hash = hash_password("other").unwrap();
        server.app.handles.writer.put_account(record).await.unwrap();
        let directory = server.app.handles.store.directory();
        assert_eq!(logins.check(&directory, Some(&header)).await.unwrap_err(), AuthError::Busy);
    }

    #[actix_web::test]
    async fn many_that_start_at_once_cost_a_few_comparisons() {
        let server = TestServer::start().await;
        let logins = logins(&server);
        let header = basic("rider@localhost", "tést");
        let directory = server.app.handles.store.directory();
        let all = (0..200).map(|_| logins.check(&directory, Some(&header)));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(logins.comparisons.get(), VERIFICATIONS_MAX as u64);
    }
}

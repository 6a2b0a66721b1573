//! Who calls: HTTP basic authentication (RFC 7617) of accounts.

mod comparisons;

use crate::password::{Password, hash_password};
use actix_web::http::header::HeaderValue;
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use comparisons::{Comparisons, Digest};
use config::Limits;
use mail::Address;
use prometheus::IntCounter;
use std::sync::Arc;
use store::{Directory, DirectoryAccount, records::AddressPattern};

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

/// Checks credentials.
pub(super) struct Logins {
    comparisons: Comparisons,
    key: hmac::Key,
    /// Compared for users who do not exist, so that time does not tell. The hash of what nobody knows: a right
    /// password would be remembered.
    nobody: String,
}

impl Logins {
    /// Counts the passwords compared in `comparisons`.
    pub(super) fn new(limits: &Limits, comparisons: IntCounter) -> Logins {
        let random = BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
        Logins {
            comparisons: Comparisons::new(limits, comparisons),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            nobody: hash_password(&random).expect("the text is a password"),
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
        let digest = self.digest(&user, hash, &password);
        let right = self.comparisons.is_right(digest, hash, &password).await?;
        login.filter(|_| right).ok_or(AuthError::Wrong)
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

    fn logins(server: &TestServer) -> (Logins, IntCounter) {
        let comparisons = IntCounter::new("comparisons", "x").unwrap();
        (Logins::new(&server.app.settings.limits, comparisons.clone()), comparisons)
    }

    #[actix_web::test]
    async fn only_an_address_of_the_account_with_its_password_logs_in() {
        let server = TestServer::start().await;
        let (logins, _) = logins(&server);
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
        let (logins, _) = logins(&server);
        let directory = server.app.handles.store.directory();
        for header in ["", "Basic", "Basic !", "Bearer abc", "Basic cmlkZXI="] {
            let header = HeaderValue::from_static(header);
            assert_eq!(logins.check(&directory, Some(&header)).await.unwrap_err(), AuthError::Wrong);
        }
    }

    #[actix_web::test]
    async fn a_right_login_is_remembered_until_the_password_changes() {
        let server = TestServer::start().await;
        let (logins, comparisons) = logins(&server);
        let header = basic("rider@localhost", "tést");
        let directory = server.app.handles.store.directory();
        for _ in 0..2 {
            logins.check(&directory, Some(&header)).await.unwrap();
            assert_eq!(comparisons.get(), 1);
        }

        let mut record = directory.accounts().find(|a| a.record.name == "rider").unwrap().record.clone();
        record.password_hash = hash_password("other").unwrap();
        server.app.handles.writer.put_account(record).await.unwrap();
        let directory = server.app.handles.store.directory();
        assert_eq!(logins.check(&directory, Some(&header)).await.unwrap_err(), AuthError::Wrong);
        assert_eq!(comparisons.get(), 2);
    }

    #[actix_web::test]
    async fn a_thousand_that_start_at_once_cost_one_comparison() {
        let server = TestServer::start().await;
        let (logins, comparisons) = logins(&server);
        let header = basic("rider@localhost", "tést");
        let directory = server.app.handles.store.directory();
        let all = (0..1_000).map(|_| logins.check(&directory, Some(&header)));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(comparisons.get(), 1);
    }

    #[actix_web::test]
    async fn users_who_do_not_exist_cost_as_many_comparisons_as_those_who_do() {
        let server = TestServer::start().await;
        let directory = server.app.handles.store.directory();
        for users in [["rider@localhost", "other@localhost"], ["no@localhost", "one@localhost"]] {
            let (logins, comparisons) = logins(&server);
            let headers = users.map(|user| basic(user, "wrong"));
            let all = headers.iter().map(|header| logins.check(&directory, Some(header)));
            assert!(futures_util::future::join_all(all).await.iter().all(Result::is_err));
            assert_eq!(comparisons.get(), 2, "{users:?}");
        }
    }
}

//! Who calls: HTTP basic authentication (RFC 7617) of accounts.

mod comparisons;

use crate::{
    limiter::{LoginLimiter, TooMany},
    password::{Password, hash_password},
};
use actix_web::http::header::HeaderValue;
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use comparisons::{Comparisons, Digest};
use config::Limits;
use mail::Address;
use prometheus::IntCounter;
use std::{net::IpAddr, sync::Arc};
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
    /// The client failed too often; what it gave was not looked at.
    TooMany(TooMany),
    /// Too many wait for their passwords to be compared.
    Busy,
    /// The comparison broke down.
    Failed,
}

impl From<TooMany> for AuthError {
    fn from(too_many: TooMany) -> AuthError {
        AuthError::TooMany(too_many)
    }
}

/// Checks credentials.
pub(super) struct Logins {
    limiter: Arc<LoginLimiter>,
    comparisons: Comparisons,
    key: hmac::Key,
    /// Compared for users who do not exist, so that time does not tell. The hash of what nobody knows: a right
    /// password would be remembered.
    nobody: String,
}

impl Logins {
    /// Counts the passwords compared in `comparisons`.
    pub(super) fn new(limits: &Limits, limiter: Arc<LoginLimiter>, comparisons: IntCounter) -> Logins {
        let random = BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
        Logins {
            limiter,
            comparisons: Comparisons::new(limits, comparisons),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            nobody: hash_password(&random).expect("the text is a password"),
        }
    }

    /// The login that the `Authorization` header of a client proves.
    pub(super) async fn check(
        &self,
        directory: &Directory,
        header: Option<&HeaderValue>,
        client: IpAddr,
    ) -> Result<Login, AuthError> {
        let header = header.ok_or(AuthError::Missing)?;
        let Some((user, password)) = credentials(header) else {
            self.limiter.begin(client).await?.failed();
            return Err(AuthError::Wrong);
        };
        let login = find(directory, &user).filter(|login| !login.account.record.disabled);
        let hash = login.as_ref().map_or(&self.nobody, |login| &login.account.record.password_hash);
        let digest = self.digest(&user, hash, &password);
        if self.comparisons.remembers(&digest) {
            self.limiter.pass(client)?;
            return login.ok_or(AuthError::Wrong);
        }
        let login_try = self.limiter.begin(client).await?;
        let right = self.comparisons.is_right(digest, hash, &password).await?;
        match login.filter(|_| right) {
            Some(login) => {
                login_try.succeeded();
                Ok(login)
            }
            None => {
                login_try.failed();
                Err(AuthError::Wrong)
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
        let (limits, limiter) = (&server.app.settings.limits, server.app.login_limiter.clone());
        (Logins::new(limits, limiter, comparisons.clone()), comparisons)
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

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
            let login = logins.check(&directory, Some(&basic(user, password)), CLIENT).await;
            assert_eq!(login.map(|login| login.address.to_string()), expected.map(str::to_owned), "{user}");
        }
        assert_eq!(logins.check(&directory, None, CLIENT).await.unwrap_err(), AuthError::Missing);
    }

    #[actix_web::test]
    async fn what_is_no_basic_header_is_a_wrong_login() {
        let server = TestServer::start().await;
        let (logins, _) = logins(&server);
        let directory = server.app.handles.store.directory();
        for header in ["", "Basic", "Basic !", "Bearer abc", "Basic cmlkZXI="] {
            let header = HeaderValue::from_static(header);
            assert_eq!(logins.check(&directory, Some(&header), CLIENT).await.unwrap_err(), AuthError::Wrong);
        }
    }

    #[actix_web::test]
    async fn a_right_login_is_remembered_until_the_password_changes() {
        let server = TestServer::start().await;
        let (logins, comparisons) = logins(&server);
        let header = basic("rider@localhost", "tést");
        let directory = server.app.handles.store.directory();
        for _ in 0..2 {
            logins.check(&directory, Some(&header), CLIENT).await.unwrap();
            assert_eq!(comparisons.get(), 1);
        }

        let mut record = directory.accounts().find(|a| a.record.name == "rider").unwrap().record.clone();
        record.password_hash = hash_password("other").unwrap();
        server.app.handles.writer.put_account(record).await.unwrap();
        let directory = server.app.handles.store.directory();
        assert_eq!(logins.check(&directory, Some(&header), CLIENT).await.unwrap_err(), AuthError::Wrong);
        assert_eq!(comparisons.get(), 2);
    }

    #[actix_web::test]
    async fn a_thousand_that_start_at_once_cost_one_comparison() {
        let server = TestServer::start().await;
        let (logins, comparisons) = logins(&server);
        let header = basic("rider@localhost", "tést");
        let directory = server.app.handles.store.directory();
        let all = (0..1_000).map(|_| logins.check(&directory, Some(&header), CLIENT));
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
            let all = headers.iter().map(|header| logins.check(&directory, Some(header), CLIENT));
            assert!(futures_util::future::join_all(all).await.iter().all(Result::is_err));
            assert_eq!(comparisons.get(), 2, "{users:?}");
        }
    }

    #[actix_web::test]
    async fn past_the_limit_nothing_is_compared() {
        let server = TestServer::start().await;
        let (logins, comparisons) = logins(&server);
        let directory = server.app.handles.store.directory();
        let check = async |header: Option<&HeaderValue>, client: IpAddr| {
            let login = logins.check(&directory, header, client).await;
            login.map(|login| login.account.record.name.clone()).map_err(|error| match error {
                AuthError::TooMany(too_many) => too_many.retry_after_secs().to_string(),
                error => format!("{error:?}"),
            })
        };
        let (right, wrong) = (basic("rider@localhost", "tést"), basic("rider@localhost", "wrong"));
        let garbage = HeaderValue::from_static("Basic !");
        assert_eq!(check(Some(&right), CLIENT).await, Ok("rider".into()));
        for _ in 0..5 {
            assert_eq!(check(Some(&wrong), CLIENT).await, Err("Wrong".into()));
            assert_eq!(check(Some(&garbage), CLIENT).await, Err("Wrong".into()));
        }
        // The right one is remembered, which makes no difference.
        for header in [&right, &wrong, &garbage, &basic("other@localhost", "tést")] {
            assert_eq!(check(Some(header), CLIENT).await, Err("60".into()));
        }
        assert_eq!(comparisons.get(), 6);
        assert_eq!(check(None, CLIENT).await, Err("Missing".into()));
        assert_eq!(check(Some(&right), [198, 51, 100, 1].into()).await, Ok("rider".into()));
    }

    #[actix_web::test]
    async fn of_many_wrong_tries_at_once_no_more_are_compared_than_are_allowed() {
        let server = TestServer::start().await;
        let (logins, comparisons) = logins(&server);
        let directory = server.app.handles.store.directory();
        let headers: Vec<_> = (0..100).map(|n| basic("rider@localhost", &format!("wrong {n}"))).collect();
        let all = headers.iter().map(|header| logins.check(&directory, Some(header), CLIENT));
        let all = futures_util::future::join_all(all).await;
        assert_eq!(all.iter().filter(|login| matches!(login, Err(AuthError::Wrong))).count(), 10);
        assert_eq!(comparisons.get(), 10);
    }

    #[actix_web::test]
    async fn a_try_that_the_server_could_not_look_at_is_no_failure() {
        let server = TestServer::start().await;
        let (logins, _) = logins(&server);
        let directory = server.app.handles.store.directory();
        for _ in 0..20 {
            // Given up before it has an answer.
            let header = basic("rider@localhost", "wrong");
            let check = logins.check(&directory, Some(&header), CLIENT);
            assert!(futures_util::FutureExt::now_or_never(check).is_none());
        }
        assert!(logins.check(&directory, Some(&basic("rider@localhost", "tést")), CLIENT).await.is_ok());
    }
}

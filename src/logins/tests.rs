//! Passwords of accounts, compared and limited.

use super::*;
use crate::{
    app::App,
    password::hash_password,
    testing::{Setup, account, domain},
};
use futures_util::future::join_all;
use store::records::{AccountRecord, ScramKeys};
use tempfile::TempDir;

/// Accounts `rider`, `other` and `disabled`, each with an address at localhost and the password `tést`; the rider also
/// has the catch-all of `all.example`.
pub(super) struct Fixture {
    pub(super) app: Arc<App>,
    _dir: TempDir,
}

pub(super) const CLIENT: Client =
    Client { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), way: Way::Webapi };

impl Fixture {
    pub(super) async fn new() -> Fixture {
        let (app, dir) = Setup::new("mail.example", |_| {}).start();
        let writer = &app.handles.writer;
        for name in ["localhost", "all.example"] {
            writer.put_domain(domain(name)).await.unwrap();
        }
        let hash = hash_password("tést").unwrap();
        for name in ["rider", "other", "disabled"] {
            let mut account = AccountRecord { password_hash: hash.clone(), ..account(name) };
            if name == "rider" {
                account.addresses.push(AddressPattern::CatchAll("all.example".parse().unwrap()));
            }
            writer.put_account(account).await.unwrap();
        }
        Fixture { app, _dir: dir }
    }

    pub(super) async fn login(
        &self,
        user: &str,
        password: &str,
        client: Client,
    ) -> Result<Login, LoginError> {
        let directory = self.app.handles.store.directory();
        self.app.logins.with_password(&directory, user, password, client).await
    }

    pub(super) fn comparisons(&self) -> u64 {
        self.app.logins.metrics.comparisons.get()
    }
}

#[actix_web::test]
async fn only_an_address_of_the_account_with_its_password_logs_in() {
    let fixture = Fixture::new().await;
    for (user, password, expected) in [
        ("rider@localhost", "te\u{301}st", Ok("rider@localhost")),
        ("RIDER@LOCALHOST", "tést", Ok("rider@localhost")),
        ("rider@localhost", "test", Err(LoginError::Wrong)),
        ("rider@localhost", "", Err(LoginError::Wrong)),
        ("rider+tag@localhost", "tést", Err(LoginError::Wrong)),
        ("anybody@all.example", "tést", Err(LoginError::Wrong)),
        ("nobody@localhost", "nobody", Err(LoginError::Wrong)),
        ("rider", "tést", Err(LoginError::Wrong)),
        ("disabled@localhost", "tést", Err(LoginError::Wrong)),
    ] {
        let login = fixture.login(user, password, CLIENT).await;
        assert_eq!(login.map(|login| login.address.to_string()), expected.map(str::to_owned), "{user}");
    }
}

#[actix_web::test]
async fn failures_are_counted_by_way() {
    let fixture = Fixture::new().await;
    let logins = &fixture.app.logins;
    for way in [Way::Webapi, Way::Submission] {
        let client = Client { way, ..CLIENT };
        fixture.login("rider@localhost", "wrong", client).await.unwrap_err();
        assert_eq!(logins.unreadable(client).await, LoginError::Wrong);
        let counted = logins.metrics.failures.with_label_values(&[way.name()]).get();
        assert_eq!(counted, 2, "{way:?}");
    }
}

#[actix_web::test]
async fn a_right_login_is_remembered_until_the_password_changes() {
    let fixture = Fixture::new().await;
    for _ in 0..2 {
        fixture.login("rider@localhost", "tést", CLIENT).await.unwrap();
        assert_eq!(fixture.comparisons(), 1);
    }
    let directory = fixture.app.handles.store.directory();
    let mut record = directory.accounts().find(|a| a.record.name == "rider").unwrap().record.clone();
    record.password_hash = hash_password("other").unwrap();
    fixture.app.handles.writer.put_account(record).await.unwrap();
    let login = fixture.login("rider@localhost", "tést", CLIENT).await;
    assert_eq!(login.unwrap_err(), LoginError::Wrong);
    assert_eq!(fixture.comparisons(), 2);
}

#[actix_web::test]
async fn a_thousand_that_start_at_once_cost_one_comparison() {
    let fixture = Fixture::new().await;
    let all = (0..1_000).map(|_| fixture.login("rider@localhost", "tést", CLIENT));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(fixture.comparisons(), 1);
}

#[actix_web::test]
async fn users_who_do_not_exist_cost_as_many_comparisons_as_those_who_do() {
    for users in [["rider@localhost", "other@localhost"], ["no@localhost", "one@localhost"]] {
        let fixture = Fixture::new().await;
        let all = users.map(|user| fixture.login(user, "wrong", CLIENT));
        assert!(join_all(all).await.iter().all(Result::is_err));
        assert_eq!(fixture.comparisons(), 2, "{users:?}");
    }
}

#[actix_web::test]
async fn past_the_limit_nothing_is_compared_whatever_the_way() {
    let fixture = Fixture::new().await;
    let login = async |user: &str, password: &str, client: Client| {
        let login = fixture.login(user, password, client).await;
        login.map(|login| login.account.record.name.clone()).map_err(|error| match error {
            LoginError::TooMany(too_many) => too_many.retry_after_secs().to_string(),
            error => format!("{error:?}"),
        })
    };
    let submission = Client { way: Way::Submission, ..CLIENT };
    assert_eq!(login("rider@localhost", "tést", CLIENT).await, Ok("rider".into()));
    for _ in 0..5 {
        assert_eq!(login("rider@localhost", "wrong", CLIENT).await, Err("Wrong".into()));
        assert_eq!(fixture.app.logins.unreadable(submission).await, LoginError::Wrong);
    }
    // The right one is remembered, which makes no difference.
    for (user, password) in
        [("rider@localhost", "tést"), ("rider@localhost", "wrong"), ("other@localhost", "tést")]
    {
        for client in [CLIENT, submission] {
            assert_eq!(login(user, password, client).await, Err("60".into()));
        }
    }
    assert_eq!(fixture.comparisons(), 6);
    let elsewhere = Client { address: [198, 51, 100, 1].into(), ..CLIENT };
    assert_eq!(login("rider@localhost", "tést", elsewhere).await, Ok("rider".into()));
}

#[actix_web::test]
async fn of_many_wrong_tries_at_once_no_more_are_compared_than_are_allowed() {
    let fixture = Fixture::new().await;
    let passwords: Vec<_> = (0..100).map(|n| format!("wrong {n}")).collect();
    let all = join_all(passwords.iter().map(|it| fixture.login("rider@localhost", it, CLIENT))).await;
    assert_eq!(all.iter().filter(|login| matches!(login, Err(LoginError::Wrong))).count(), 10);
    assert_eq!(fixture.comparisons(), 10);
}

#[actix_web::test]
async fn a_try_that_the_server_could_not_look_at_is_no_failure() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        // Given up before it has an answer.
        let login = fixture.login("rider@localhost", "wrong", CLIENT);
        assert!(futures_util::FutureExt::now_or_never(login).is_none());
    }
    assert!(fixture.login("rider@localhost", "tést", CLIENT).await.is_ok());
}

async fn until_known(fixture: &Fixture, user: &str) -> ScramKeys {
    loop {
        let directory = fixture.app.handles.store.directory();
        if let Some(keys) = &find(&directory, user).unwrap().account.record.scram {
            return keys.clone();
        }
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn who_logs_in_with_the_password_can_use_scram_from_then_on() {
    let fixture = Fixture::new().await;
    let (store, logins) = (&fixture.app.handles.store, &fixture.app.logins);
    let before = logins.scram_keys(&store.directory(), "rider@localhost", CLIENT).unwrap();
    fixture.login("rider@localhost", "wrong", CLIENT).await.unwrap_err();
    fixture.login("rider@localhost", "tést", CLIENT).await.unwrap();
    let keys = until_known(&fixture, "rider@localhost").await;
    assert_ne!(before, keys);
    let directory = store.directory();
    assert_eq!(logins.scram_keys(&directory, "RIDER@localhost", CLIENT), Ok(keys.clone()));
    let login = logins.with_scram(&directory, "RIDER@localhost", Some(&keys), CLIENT).await.unwrap();
    assert_eq!(login.address.to_string(), "rider@localhost");
    assert!(find(&directory, "other@localhost").unwrap().account.record.scram.is_none());

    // Of another password they are of no use any more.
    let mut record = login.account.record.clone();
    (record.password_hash, record.scram) = (hash_password("other").unwrap(), None);
    fixture.app.handles.writer.put_account(record).await.unwrap();
    let login = logins.with_scram(&store.directory(), "rider@localhost", Some(&keys), CLIENT).await;
    assert_eq!(login.unwrap_err(), LoginError::Wrong);
}

#[actix_web::test]
async fn keys_do_not_tell_who_exists() {
    let fixture = Fixture::new().await;
    let directory = fixture.app.handles.store.directory();
    let keys = |user| fixture.app.logins.scram_keys(&directory, user, CLIENT).unwrap();
    for (user, same) in [
        ("nobody@localhost", "NoBody@LOCALHOST"),
        ("disabled@localhost", "disabled@localhost"),
        ("rider+tag@localhost", "rider+TAG@localhost"),
        ("no address", "no address"),
    ] {
        let made = keys(user);
        assert_eq!(made, keys(same), "{user}");
        assert_eq!(made.iterations, crate::password::SCRAM_ITERATIONS);
        let login = fixture.app.logins.with_scram(&directory, user, Some(&made), CLIENT).await;
        assert_eq!(login.unwrap_err(), LoginError::Wrong, "{user}");
    }
    assert_ne!(keys("nobody@localhost").salt, keys("nobody@all.example").salt);
}

#[actix_web::test]
async fn past_the_limit_no_proof_is_looked_at() {
    let fixture = Fixture::new().await;
    let logins = &fixture.app.logins;
    fixture.login("rider@localhost", "tést", CLIENT).await.unwrap();
    let keys = until_known(&fixture, "rider@localhost").await;
    for _ in 0..10 {
        assert_eq!(logins.unreadable(CLIENT).await, LoginError::Wrong);
    }
    let directory = fixture.app.handles.store.directory();
    let refused = |error: LoginError| matches!(error, LoginError::TooMany(_));
    assert!(refused(logins.scram_keys(&directory, "rider@localhost", CLIENT).unwrap_err()));
    assert!(refused(
        logins.with_scram(&directory, "rider@localhost", Some(&keys), CLIENT).await.unwrap_err()
    ));
}

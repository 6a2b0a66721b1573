//! Changes to domains and accounts: together or not at all, and what goes with what is removed.

use super::*;

fn change(fixture: &Fixture) -> DirectoryChange {
    DirectoryChange { seen: fixture.store.directory().generation(), ..DirectoryChange::default() }
}

fn apply(fixture: &mut Fixture, change: DirectoryChange) -> Result<(), Refusal> {
    fixture.try_apply(Change::ChangeDirectory(change)).map(|applied| {
        assert_eq!(applied, Applied::DirectoryChanged);
    })
}

/// With an account that calls nobody.
fn quiet() -> Fixture {
    let account = AccountRecord { outgoing_webhook: None, incoming_webhook: None, ..account() };
    Fixture::with(options(), account)
}

fn names(fixture: &Fixture) -> Vec<String> {
    let directory = fixture.store.directory();
    let mut names: Vec<_> = directory.accounts().map(|account| account.record.name.clone()).collect();
    names.extend(directory.domains().map(|domain| domain.record.name.to_string()));
    names.sort();
    names
}

#[test]
fn a_change_that_was_decided_on_an_older_directory_is_refused() {
    let mut fixture = Fixture::new();
    let decided = DirectoryChange { remove_accounts: vec![account().name], ..change(&fixture) };
    fixture.apply(Change::PutAccount(AccountRecord { full_name: "changed".into(), ..account() }));
    assert_eq!(apply(&mut fixture, decided.clone()), Err(Refusal::DirectoryChanged));
    let again = DirectoryChange { seen: fixture.store.directory().generation(), ..decided };
    assert_eq!(apply(&mut fixture, again), Ok(()));
}

#[test]
fn keys_are_kept_once_and_only_while_the_password_is_the_same() {
    let mut fixture = Fixture::new();
    let generation = fixture.store.directory().generation();
    let keys =
        |salt| ScramKeys { salt: [salt; 16], iterations: 4096, stored_key: [1; 32], server_key: [2; 32] };
    let put = |account, hash: &str, salt| {
        let password_hash = hash.to_owned();
        Change::PutScramKeys { account, password_hash, keys: keys(salt) }
    };
    let hash = account().password_hash;
    for (change, expected) in [
        (put(ACCOUNT, "another", 1), Err(Refusal::DirectoryChanged)),
        (put(AccountId(99), &hash, 1), Err(Refusal::NotFound)),
        (put(ACCOUNT, &hash, 1), Ok(Applied::AccountPut(ACCOUNT))),
        (put(ACCOUNT, &hash, 2), Err(Refusal::DirectoryChanged)),
    ] {
        assert_eq!(fixture.try_apply(change), expected);
    }
    let directory = fixture.store.directory();
    assert_eq!(directory.account(ACCOUNT).unwrap().record.scram, Some(keys(1)));
    assert_eq!(directory.generation(), generation, "no operator has to look again");
}

#[test]
fn the_secret_for_logins_stays_the_first() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.store.directory().login_secret(), None);
    for secret in [[1; 32], [2; 32]] {
        assert_eq!(fixture.try_apply(Change::KeepLoginSecret(secret)), Ok(Applied::LoginSecretKept));
        assert_eq!(fixture.store.directory().login_secret(), Some(&[1; 32]));
    }
}

#[test]
fn a_change_is_made_as_a_whole_or_not_at_all() {
    let mut fixture = Fixture::new();
    let before = fixture.store.dump().unwrap();
    let new = AccountRecord { name: "new".into(), ..account() };
    for (accounts, domains) in
        [(vec!["nobody".into()], vec![]), (vec![], vec!["example.org".parse().unwrap()])]
    {
        let refused = DirectoryChange {
            put_accounts: vec![new.clone()],
            admin_password_hash: Some("hash".into()),
            remove_accounts: accounts,
            remove_domains: domains,
            ..change(&fixture)
        };
        assert_eq!(apply(&mut fixture, refused), Err(Refusal::NotFound));
    }
    assert_eq!(fixture.store.dump().unwrap(), before);
    assert_eq!(fixture.store.directory().admin_password_hash(), None);

    let made = DirectoryChange {
        put_accounts: vec![new],
        admin_password_hash: Some("hash".into()),
        remove_accounts: vec![account().name],
        remove_domains: vec!["example.com".parse().unwrap()],
        ..change(&fixture)
    };
    assert_eq!(apply(&mut fixture, made), Ok(()));
    assert_eq!(names(&fixture), ["new"]);
    assert_eq!(fixture.store.directory().admin_password_hash(), Some("hash"));
}

#[test]
fn what_still_has_mail_queued_is_not_removed() {
    let mut fixture = quiet();
    let id = fixture.accept(&["friend@remote.example"]);
    let removals = |fixture: &Fixture| {
        [
            DirectoryChange { remove_accounts: vec![account().name], ..change(fixture) },
            DirectoryChange { remove_domains: vec!["example.com".parse().unwrap()], ..change(fixture) },
        ]
    };
    for removal in removals(&fixture) {
        assert_eq!(apply(&mut fixture, removal), Err(Refusal::StillInUse));
    }
    fixture.settle(id, None, Decision::Cancel);
    for removal in 0..2 {
        let removal = removals(&fixture)[removal].clone();
        assert_eq!(apply(&mut fixture, removal), Ok(()));
    }
}

#[test]
fn an_account_with_webhook_calls_pending_is_not_removed() {
    let mut fixture = Fixture::new();
    let id = fixture.accept(&["friend@remote.example"]);
    fixture.settle(id, None, Decision::Cancel);
    let removal = DirectoryChange { remove_accounts: vec![account().name], ..change(&fixture) };
    assert_eq!(apply(&mut fixture, removal), Err(Refusal::StillInUse));
}

#[test]
fn an_account_takes_its_mailboxes_and_lists_with_it() {
    let mut fixture = quiet();
    let empty = fixture.store.dump().unwrap();
    let mut other = quiet();
    let leave = DirectoryChange { remove_accounts: vec![account().name], ..change(&other) };
    apply(&mut other, leave).unwrap();
    let sweep = |limit| Change::Sweep(Sweep { now: NOW.after(2 * KEEP), events_before: NOW, limit });
    other.apply(sweep(100));
    let never_there = other.store.dump().unwrap();

    fixture.apply(Change::Suppress(NewSuppression {
        account: ACCOUNT,
        address: "friend@remote.example".parse().unwrap(),
        now: NOW,
        reason: String::new(),
        source: SuppressionSource::Manual,
    }));
    let id = fixture.accept(&["friend@remote.example"]);
    fixture.settle(id, None, Decision::Cancel);
    for _ in 0..3 {
        fixture.apply(Change::Arrive(arrival(None)));
    }
    fixture.apply(sweep(100));
    assert_ne!(fixture.store.dump().unwrap(), empty);
    let leave = DirectoryChange { remove_accounts: vec![account().name], ..change(&fixture) };
    apply(&mut fixture, leave).unwrap();
    assert_eq!(names(&fixture), ["example.com"], "it is gone at once");
    // In bounded pieces, whether or not the server stops between them.
    let mut pieces = Vec::new();
    let expired = |f: &Fixture| f.store.read(|view| view.has_expired(NOW, NOW)).unwrap();
    while expired(&fixture) {
        match fixture.apply(sweep(2)) {
            Applied::Swept(removed) => pieces.push(removed),
            other => panic!("{other:?}"),
        }
        let Fixture { store, writer, dir } = fixture;
        drop((store, writer));
        let (store, writer) = Store::open(dir.path(), options()).unwrap();
        fixture = Fixture { store, writer, dir };
    }
    assert!(pieces.len() > 3 && pieces.iter().all(|removed| *removed <= 2), "{pieces:?}");
    assert_eq!(fixture.store.dump().unwrap(), never_there);
}

//! MTA-STS policies.

use super::*;

#[test]
fn a_policy_is_kept_until_it_ends_or_another_takes_its_place() {
    let mut f = Fixture::new();
    let domain = Domain::parse("remote.example").unwrap();
    let policy = |id: &str, seconds| StsPolicyRecord {
        id: id.into(),
        mode: StsMode::Enforce,
        mx: vec!["*.remote.example".into()],
        fetched: NOW,
        expires: NOW.after(Duration::from_secs(seconds)),
    };
    let put = |policy| Change::PutStsPolicy { domain: domain.clone(), policy };
    let id = |f: &Fixture| f.store.read(|view| view.sts_policy(&domain)).unwrap().map(|policy| policy.id);
    let sweep = |f: &mut Fixture, seconds| {
        let now = NOW.after(Duration::from_secs(seconds));
        let expired = f.store.read(|view| view.has_expired(now, NOW)).unwrap();
        let Applied::Swept(swept) = f.apply(Change::Sweep(Sweep { now, events_before: NOW, limit: 10 }))
        else {
            panic!()
        };
        assert_eq!(expired, swept > 0);
        swept
    };
    f.apply(put(Some(policy("1", 100))));
    f.apply(put(Some(policy("2", 200))));
    assert_eq!((sweep(&mut f, 100), id(&f).as_deref()), (0, Some("2")));
    assert_eq!((sweep(&mut f, 200), id(&f)), (1, None));

    f.apply(put(Some(policy("3", 300))));
    f.apply(put(None));
    f.apply(put(None));
    assert_eq!((id(&f), sweep(&mut f, 300)), (None, 0));
}

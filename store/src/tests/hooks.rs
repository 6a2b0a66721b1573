//! Hooks: their order, what people do with them, and telling again.

use super::*;
use mail::HookId;

const URL: &str = "http://hooks.example/out";

fn wants_every_event() -> AccountRecord {
    let mut account = account();
    account.outgoing_webhook.as_mut().unwrap().every_event = true;
    account
}

/// A message with a hook for each of so many failed attempts.
fn delayed(f: &mut Fixture, times: usize) -> u64 {
    let id = f.accept(&["friend@remote.example"]);
    for _ in 0..times {
        f.settle(id, Some(refused(451, "later")), Decision::Retry(NOW));
    }
    id
}

fn due(f: &Fixture) -> Vec<u64> {
    let due = f.store.read(|view| view.due_hooks(URL, NOW, 100, |_| false)).unwrap();
    due.into_iter().map(|id| id.0).collect()
}

fn pending(f: &Fixture) -> Vec<u64> {
    let slice = f.store.read(|view| view.hook_slice(&HookFilter::default(), None, false, 100)).unwrap();
    slice.rows.into_iter().map(|(id, _)| id.0).collect()
}

fn outcome(f: &Fixture, id: u64) -> HookOutcome {
    f.store.read(|view| view.retired_hook(HookId(id))).unwrap().unwrap().outcome
}

fn called(id: u64, decision: HookDecision) -> Change {
    let attempt = HookAttempt {
        started: NOW,
        duration_ms: 1,
        url: URL.into(),
        success: decision == HookDecision::Succeeded,
        status: 200,
        error: String::new(),
        response: String::new(),
    };
    Change::SettleHooks(vec![HookSettlement { id: HookId(id), now: NOW, attempt, decision }])
}

/// A report about a message comes back: another event.
fn returned(f: &mut Fixture, to: &FromId) {
    f.apply(Change::Arrive(arrival(Some(to.clone()))));
}

fn operate(f: &mut Fixture, ids: &[u64], action: HookAction) -> usize {
    let ids = ids.iter().copied().map(HookId).collect();
    let operation = HookOperation { ids, filter: HookFilter::default(), now: NOW, action };
    match f.apply(Change::OperateHooks(operation)) {
        Applied::Operated { changed } => changed,
        other => panic!("{other:?}"),
    }
}

fn resend(f: &mut Fixture, id: u64) -> (Vec<u64>, usize) {
    let resend = HookResend { ids: vec![HookId(id)], filter: RetiredHookFilter::default(), now: NOW };
    match f.apply(Change::ResendHooks(resend)) {
        Applied::HooksResent { made, without_webhook } => {
            (made.into_iter().map(|(_, new)| new.0).collect(), without_webhook)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_event_of_a_message_is_told_in_order() {
    let mut f = Fixture::with(options(), wants_every_event());
    let id = delayed(&mut f, 2);
    f.settle(id, Some(delivered()), Decision::Delivered);
    delayed(&mut f, 1);
    assert_eq!(pending(&f), [1, 2, 3, 4]);
    assert_eq!(due(&f), [1, 4], "the other message waits for nothing");

    let later = NOW.after(Duration::from_secs(60));
    f.apply(called(1, HookDecision::Retry(later)));
    assert_eq!(due(&f), [4]);
    f.apply(called(1, HookDecision::Failed));
    assert_eq!(due(&f), [2, 4]);
    f.apply(called(2, HookDecision::Succeeded));
    assert_eq!(due(&f), [3, 4]);
    f.apply(called(3, HookDecision::Succeeded));
    assert_eq!(due(&f), [4]);
    assert_eq!(
        [1, 2, 3].map(|id| outcome(&f, id)),
        [HookOutcome::Failed, HookOutcome::Succeeded, HookOutcome::Succeeded]
    );
}

#[test]
fn a_hook_that_is_cancelled_lets_the_next_one_move_up() {
    let mut f = Fixture::with(options(), wants_every_event());
    delayed(&mut f, 4);
    assert_eq!(operate(&mut f, &[2], HookAction::Cancel), 1);
    assert_eq!((due(&f), outcome(&f, 2)), (vec![1], HookOutcome::Canceled));
    f.apply(called(1, HookDecision::Succeeded));
    assert_eq!(due(&f), [3]);
    assert_eq!(operate(&mut f, &[4, 3], HookAction::Cancel), 2);
    assert_eq!(pending(&f), [0; 0]);
    assert_eq!(due(&f), [0; 0]);
}

/// Messages of the queue and of history: what comes back is told after they left.
#[test]
fn the_next_event_waits_for_those_before_one_that_was_cancelled() {
    for left in [false, true] {
        let mut f = Fixture::with(options(), wants_every_event());
        let from_id = FromId::new(NOW, [1; 12]);
        let mut sent = submission(&["friend@remote.example"], b"Subject: hi\r\n\r\nhi\r\n");
        sent.recipients[0].from_id = Some(from_id.clone());
        f.apply(Change::Accept(sent));
        for _ in 0..2 {
            f.settle(1, Some(refused(451, "later")), Decision::Retry(NOW));
        }
        if left {
            f.settle(1, Some(delivered()), Decision::Delivered);
        }
        let next = if left { 4 } else { 3 };
        operate(&mut f, &[next - 1], HookAction::Cancel);
        returned(&mut f, &from_id);
        let hook = f.store.read(|view| view.hook(HookId(next))).unwrap().unwrap();
        assert_eq!((hook.waits_for, due(&f)), (Some(HookId(next - 2)), vec![1]), "left: {left}");
        // Nor does one that supersedes miss them.
        operate(&mut f, &[next], HookAction::Cancel);
        f.apply(Change::PutAccount(account()));
        returned(&mut f, &from_id);
        assert_eq!((pending(&f), due(&f)), (vec![next + 1], vec![next + 1]), "left: {left}");
        assert_eq!(outcome(&f, 1), HookOutcome::Superseded(HookId(next + 1)));
    }
}

#[test]
fn once_only_the_newest_is_wanted_the_whole_line_is_superseded() {
    let mut f = Fixture::with(options(), wants_every_event());
    let id = delayed(&mut f, 3);
    f.apply(Change::PutAccount(account()));
    f.settle(id, Some(delivered()), Decision::Delivered);
    assert_eq!((pending(&f), due(&f)), (vec![4], vec![4]));
    for old in [1, 2, 3] {
        assert_eq!(outcome(&f, old), HookOutcome::Superseded(HookId(4)));
    }
}

#[test]
fn a_hook_is_called_when_a_person_says_so() {
    let mut f = Fixture::with(options(), wants_every_event());
    delayed(&mut f, 2);
    let later = NOW.after(Duration::from_secs(600));
    f.apply(called(1, HookDecision::Retry(later)));
    assert_eq!(operate(&mut f, &[1, 2, 99], HookAction::Schedule(NOW)), 2);
    assert_eq!(due(&f), [1], "the second goes on waiting");
    assert_eq!(operate(&mut f, &[1], HookAction::Postpone(Duration::from_secs(1))), 1);
    assert_eq!(due(&f), [0; 0]);
    let next = f.store.read(|view| view.next_hook_due(URL, None)).unwrap();
    assert_eq!(next, Some(NOW.after(Duration::from_secs(1))));
}

#[test]
fn a_time_chosen_during_a_call_outlives_it() {
    let mut f = Fixture::new();
    delayed(&mut f, 1);
    let (soon, later) = (NOW.after(Duration::from_secs(1)), NOW.after(Duration::from_secs(60)));
    operate(&mut f, &[1], HookAction::Schedule(soon));
    f.apply(called(1, HookDecision::Retry(later)));
    assert_eq!(f.store.read(|view| view.next_hook_due(URL, None)).unwrap(), Some(soon));
}

#[test]
fn what_a_hook_told_is_told_again_to_the_url_of_today() {
    let mut f = Fixture::new();
    delayed(&mut f, 1);
    f.apply(called(1, HookDecision::Failed));
    let mut changed = account();
    let webhook = changed.outgoing_webhook.as_mut().unwrap();
    (webhook.url, webhook.authorization) = ("http://new.example/".into(), Some("new token".into()));
    f.apply(Change::PutAccount(changed));
    assert_eq!(resend(&mut f, 1), (vec![2], 0));
    let hook = |f: &Fixture, id| f.store.read(|view| view.hook(HookId(id))).unwrap().unwrap();
    let new = hook(&f, 2);
    assert_eq!((new.url.as_str(), new.authorization.as_deref()), ("http://new.example/", Some("new token")));
    assert_eq!((new.resent_of, new.attempts.len()), (Some(HookId(1)), 0));
    let old = f.store.read(|view| view.retired_hook(HookId(1))).unwrap().unwrap();
    assert_eq!((old.hook.subject, old.outcome), (new.subject, HookOutcome::Failed));
    // The first of all stays the one that is told again.
    f.apply(called(2, HookDecision::Failed));
    assert_eq!(resend(&mut f, 2), (vec![3], 0));
    assert_eq!(hook(&f, 3).resent_of, Some(HookId(1)));

    f.apply(Change::PutAccount(AccountRecord { outgoing_webhook: None, ..account() }));
    assert_eq!(resend(&mut f, 1), (vec![], 1));
    assert_eq!(resend(&mut f, 99), (vec![], 0));
}

#[test]
fn an_incoming_message_told_again_keeps_its_content_until_both_are_gone() {
    let mut f = Fixture::new();
    f.apply(Change::Arrive(arrival(None)));
    f.apply(called(1, HookDecision::Failed));
    assert_eq!(resend(&mut f, 1), (vec![2], 0));
    let id = mail::MsgId(1);
    f.apply(Change::ChangeMessage { account: ACCOUNT, id, action: MessageAction::Delete });
    let sweep = |now: Timestamp| Change::Sweep(Sweep { now, events_before: NOW, limit: 100 });
    let content = |f: &Fixture| f.store.read(|view| view.content(ContentId(1))).unwrap();
    f.apply(sweep(NOW.after(KEEP)));
    assert!(content(&f).is_some(), "the new hook is to be called yet");
    f.apply(called(2, HookDecision::Succeeded));
    f.apply(sweep(NOW.after(KEEP)));
    assert!(content(&f).is_none());
}

#[test]
fn lists_of_hooks_are_filtered_and_go_on_by_key() {
    let mut f = Fixture::new();
    for recipient in ["a@remote.example", "b@remote.example", "a@remote.example"] {
        let id = f.accept(&[recipient]);
        f.settle(id, Some(delivered()), Decision::Delivered);
    }
    f.apply(Change::Arrive(arrival(None)));
    let list = |f: &Fixture, filter: &HookFilter, after: Option<u64>, descending, limit| {
        let after = after.map(HookId);
        let slice = f.store.read(|view| view.hook_slice(filter, after, descending, limit)).unwrap();
        (slice.rows.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), slice.next.map(|id| id.0))
    };
    let all = HookFilter::default();
    assert_eq!(list(&f, &all, None, false, 2), (vec![1, 2], Some(2)));
    assert_eq!(list(&f, &all, Some(2), false, 9), (vec![3, 4], None));
    assert_eq!(list(&f, &all, None, true, 2), (vec![4, 3], Some(3)));
    let only = |filter: HookFilter| list(&f, &filter, None, false, 9).0;
    assert_eq!(only(HookFilter { ids: [4, 2, 2, 77].map(HookId).to_vec(), ..all.clone() }), [2, 4]);
    assert_eq!(only(HookFilter { kind: Some(HookKind::Incoming), ..all.clone() }), [4]);
    assert_eq!(only(HookFilter { kind: Some(HookKind::Outgoing), ..all.clone() }), [1, 2, 3]);
    assert_eq!(only(HookFilter { event: Some(EventKind::Delivered), ..all.clone() }), [1, 2, 3]);
    assert_eq!(only(HookFilter { event: Some(EventKind::Failed), ..all.clone() }), [0; 0]);
    assert_eq!(only(HookFilter { recipient: Some(address("A@remote.example")), ..all.clone() }), [1, 3]);
    assert_eq!(only(HookFilter { url: Some("http://hooks.example/in".into()), ..all.clone() }), [4]);
    assert_eq!(only(HookFilter { account: Some(AccountId(9)), ..all.clone() }), [0; 0]);
    let later = TimeRange { after: Some(NOW), before: None };
    assert_eq!(only(HookFilter { submitted: later, ..all.clone() }), [0; 0]);
    assert_eq!(only(HookFilter { next_attempt: later, ..all }), [0; 0]);

    f.apply(called(2, HookDecision::Succeeded));
    f.apply(called(3, HookDecision::Failed));
    let retired = |outcome, success, ids: &[u64]| {
        let hook = HookFilter { ids: ids.iter().copied().map(HookId).collect(), ..Default::default() };
        let filter = RetiredHookFilter { hook, outcome, success };
        let slice = f.store.read(|view| view.retired_hook_slice(&filter, None, false, 9)).unwrap();
        slice.rows.iter().map(|(id, _)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(retired(None, None, &[]), [2, 3]);
    assert_eq!(retired(None, Some(true), &[]), [2]);
    assert_eq!(retired(None, Some(false), &[]), [3]);
    assert_eq!(retired(Some(HookEnd::Failed), None, &[]), [3]);
    assert_eq!(retired(Some(HookEnd::Canceled), None, &[]), [0; 0]);
    assert_eq!(retired(None, None, &[3, 1]), [3]);
}

#[test]
fn a_replaced_secret_signs_until_its_time_is_over() {
    let mut account = account();
    let first = account.webhook_secret.clone();
    account.replace_webhook_secret(vec![2; 24], NOW, Duration::from_secs(60));
    let secrets = |now| account.webhook_secrets(now).map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert_eq!(secrets(NOW), [vec![2; 24], first]);
    assert_eq!(secrets(NOW.after(Duration::from_secs(60))), [vec![2; 24]]);
    account.replace_webhook_secret(vec![3; 24], NOW, Duration::ZERO);
    assert_eq!(account.replaced_secret, None);
}

//! The store as a whole: changes in, state out.

mod directory;
mod due;
mod events;
mod hold_rules;
mod hooks;
mod limits;
mod lists;
mod mailboxes;
mod operations;
mod repeats;
mod returned;
mod settle;
mod sts;

use crate::{records::*, *};
use mail::{
    AccountId, Address, BaseAddress, ContentId, Domain, EnhancedCode, EventSeq, FromId, QueueId, ReversePath,
    Timestamp, Verdict,
};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const ACCOUNT: AccountId = AccountId(1);
const KEEP: Duration = Duration::from_secs(3600);

fn options() -> StoreOptions {
    StoreOptions { map_size: 1 << 30, map_reserve: 1 << 20, disk_reserve: 0, inline_max: 1000 }
}

struct Fixture {
    store: Store,
    writer: Writer,
    dir: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with(options(), account())
    }

    fn with(options: StoreOptions, account: AccountRecord) -> Fixture {
        let dir = TempDir::new().unwrap();
        let (store, writer) = Store::open(dir.path(), options).unwrap();
        let mut fixture = Fixture { store, writer, dir };
        fixture.apply(Change::PutDomain(DomainRecord {
            name: Domain::parse("example.com").unwrap(),
            catchall_separator: '+',
            disabled: false,
            dkim: Vec::new(),
            routes: Vec::new(),
        }));
        fixture.apply(Change::PutAccount(account));
        fixture
    }

    fn try_apply(&mut self, change: Change) -> Result<Applied, Refusal> {
        self.writer.commit([change].iter()).unwrap().results.remove(0)
    }

    fn apply(&mut self, change: Change) -> Applied {
        self.try_apply(change).unwrap()
    }

    fn accept(&mut self, recipients: &[&str]) -> u64 {
        match self.apply(Change::Accept(submission(recipients, b"Subject: hi\r\n\r\nhi\r\n"))) {
            Applied::Accepted(QueueId(first)) => first,
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, id: u64, attempt: Option<Attempt>, decision: Decision) -> Touched {
        let settlement = Settlement { id: QueueId(id), now: NOW, attempt, decision, report: None };
        let mut committed = self.writer.commit([Change::Settle(vec![settlement])].iter()).unwrap();
        assert!(matches!(committed.results.remove(0), Ok(Applied::Settled { .. })));
        committed.touched
    }

    fn fail(&mut self, recipient: &str, suppress: Suppress) -> bool {
        let id = self.accept(&[recipient]);
        let verdict = Verdict::of(554, None, "no");
        self.settle(id, Some(refused(554, "no")), Decision::Failed { verdict: Some(verdict), suppress });
        match self.store.read(|view| view.retired_message(QueueId(id))).unwrap().unwrap().outcome {
            MessageOutcome::Failed { suppressing, .. } => suppressing,
            other => panic!("{other:?}"),
        }
    }

    fn events(&self) -> Vec<EventKind> {
        let events = self.store.read(|view| view.events(ACCOUNT, EventSeq(0), 100)).unwrap();
        events.into_iter().map(|(_, logged)| logged.event.kind).collect()
    }

    fn due(&self, at: Timestamp) -> Vec<QueueId> {
        self.store.read(|view| view.due_messages("remote.example", at, 100, |_| false)).unwrap()
    }
}

fn account() -> AccountRecord {
    AccountRecord {
        name: "app".into(),
        full_name: String::new(),
        password_hash: "secret-hash".into(),
        addresses: vec![
            AddressPattern::Address(address("app@example.com")),
            AddressPattern::CatchAll(Domain::parse("all.example").unwrap()),
        ],
        from_id_login_addresses: Vec::new(),
        keep_retired_messages: KEEP,
        keep_retired_hooks: KEEP,
        dsn_to_inbox: true,
        disabled: false,
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: Some(OutgoingWebhook {
            url: "http://hooks.example/out".into(),
            authorization: Some("secret-token".into()),
            events: Vec::new(),
            every_event: false,
        }),
        incoming_webhook: Some(IncomingWebhook {
            url: "http://hooks.example/in".into(),
            authorization: None,
        }),
        webhook_secret: vec![1; 24],
        created: NOW,
        routes: Vec::new(),
        replaced_secret: None,
        scram: None,
        deduplicate_message_id: false,
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn submission(recipients: &[&str], content: &'static [u8]) -> Submission {
    Submission {
        account: ACCOUNT,
        now: NOW,
        content: ContentRecord::Inline(content.into()),
        size: content.len() as u64,
        recipients: recipients
            .iter()
            .map(|recipient| NewRecipient {
                address: address(recipient),
                mail_from: ReversePath::Address(address("app@example.com")),
                from_id: None,
                destination: address(recipient).domain().as_ascii().into(),
                notify: None,
                original_recipient: None,
                once: None,
            })
            .collect(),
        message_id: "<1@example.com>".into(),
        subject: "hi".into(),
        transport: None,
        require_tls: None,
        future_release: None,
        extra: BTreeMap::from([("Key".into(), "value".into())]),
        eight_bit: false,
        smtputf8: false,
        sent_copy: SentCopy::Unwanted,
        msg_from: address("app@example.com"),
        envid: None,
        ret: None,
        repeatable: None,
    }
}

fn arrival(from_id: Option<FromId>) -> Arrival {
    Arrival {
        now: NOW,
        content: ContentRecord::Inline(b"Subject: in\r\n\r\nin\r\n"[..].into()),
        size: 20,
        recipients: vec![ArrivalRecipient { account: ACCOUNT, rcpt_to: address("app@example.com"), from_id }],
        mail_from: ReversePath::Null,
        mail_from_validated: false,
        msg_from: None,
        msg_from_validated: false,
        dkim_verified_domains: Vec::new(),
        remote_ip: None,
        dsn: false,
        automated: true,
        feedback: None,
        returned_from_id: None,
        named: BTreeMap::new(),
    }
}

fn attempt(result: AttemptResult) -> Attempt {
    Attempt {
        started: NOW,
        duration_ms: 5,
        connect_ms: 1,
        host: "mx".into(),
        address: None,
        tls: None,
        policy: None,
        result,
    }
}

fn refused(code: u16, text: &str) -> Attempt {
    attempt(AttemptResult::Refused(SmtpAnswer { code, enhanced: None, text: text.into() }))
}

fn delivered() -> Attempt {
    attempt(AttemptResult::Delivered(SmtpAnswer {
        code: 250,
        enhanced: EnhancedCode::new(2, 0, 0),
        text: "ok".into(),
    }))
}

#[test]
fn a_message_goes_through_the_queue_into_history_and_leaves_no_content() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    assert_eq!(f.due(NOW), [QueueId(id)]);

    let later = NOW.after(Duration::from_secs(450));
    f.settle(id, Some(refused(451, "later")), Decision::Retry(later));
    assert_eq!(f.due(NOW), []);
    assert_eq!(f.store.read(|view| view.totals()).unwrap().deferred, 1);
    assert_eq!(f.store.read(|view| view.next_message_due("remote.example", None)).unwrap(), Some(later));
    assert_eq!(f.due(later), [QueueId(id)]);

    f.settle(id, Some(delivered()), Decision::Delivered);
    assert_eq!(f.due(Timestamp::MAX), []);
    assert_eq!(f.store.read(|view| view.totals()).unwrap().deferred, 0);
    let retired = f.store.read(|view| view.retired_message(QueueId(id))).unwrap().unwrap();
    assert_eq!(retired.outcome, MessageOutcome::Delivered);
    assert_eq!(retired.message.attempts.len(), 2);
    assert_eq!(f.store.read(|view| view.content(ContentId(1))).unwrap(), None);
    use EventKind::*;
    assert_eq!(f.events(), [Queued, Attempted, Delayed, Attempted, Delivered]);
}

#[test]
fn settling_twice_does_nothing_the_second_time() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, Some(delivered()), Decision::Delivered);
    let before = f.store.dump().unwrap();
    f.settle(id, Some(delivered()), Decision::Delivered);
    assert_eq!(f.store.dump().unwrap(), before);
}

#[test]
fn recipients_share_one_content_until_the_last_is_done() {
    let mut f = Fixture::new();
    let first = f.accept(&["a@remote.example", "b@remote.example", "c@other.example"]);
    let content = || f.store.read(|view| view.content(ContentId(1))).unwrap();
    assert!(content().is_some());
    f.settle(first, Some(delivered()), Decision::Delivered);
    f.settle(first + 1, None, Decision::Suppressed);
    assert!(f.store.read(|view| view.content(ContentId(1))).unwrap().is_some());
    f.settle(first + 2, None, Decision::Cancel);
    assert_eq!(f.store.read(|view| view.content(ContentId(1))).unwrap(), None);
}

#[test]
fn a_newer_event_supersedes_the_pending_hook_of_its_message() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    let touched = f.settle(id, Some(refused(451, "later")), Decision::Retry(NOW));
    assert!(touched.urls.contains("http://hooks.example/out"));
    let due = |f: &Fixture| {
        f.store.read(|view| view.due_hooks("http://hooks.example/out", NOW, 10, |_| false)).unwrap()
    };
    let delayed = due(&f)[0];
    f.settle(id, Some(delivered()), Decision::Delivered);
    let newest = due(&f);
    assert_eq!(newest.len(), 1);
    let retired = f.store.read(|view| view.retired_hook(delayed)).unwrap().unwrap();
    assert_eq!(retired.outcome, HookOutcome::Superseded(newest[0]));
    assert_eq!(retired.hook.authorization, None);

    // A call that was in flight is added to the history.
    let call = HookAttempt {
        started: NOW,
        duration_ms: 1,
        url: "http://hooks.example/out".into(),
        success: true,
        status: 200,
        error: String::new(),
        response: "ok".into(),
    };
    let settlement =
        |id| HookSettlement { id, now: NOW, attempt: call.clone(), decision: HookDecision::Succeeded };
    f.apply(Change::SettleHooks(vec![settlement(delayed), settlement(newest[0])]));
    assert_eq!(f.store.read(|view| view.retired_hook(delayed)).unwrap().unwrap().hook.attempts.len(), 1);
    let done = f.store.read(|view| view.retired_hook(newest[0])).unwrap().unwrap();
    assert_eq!(done.outcome, HookOutcome::Succeeded);
    assert_eq!(due(&f), []);
}

#[test]
fn the_third_failure_in_a_row_suppresses_and_a_delivery_ends_the_row() {
    let mut f = Fixture::new();
    assert!(!f.fail("friend@remote.example", Suppress::IfThirdInRow));
    assert!(!f.fail("friend@remote.example", Suppress::IfThirdInRow));
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, Some(delivered()), Decision::Delivered);
    assert!(!f.fail("friend@remote.example", Suppress::IfThirdInRow));
    assert!(!f.fail("Friend+tag@remote.example", Suppress::IfThirdInRow));
    assert!(f.fail("friend@remote.example", Suppress::IfThirdInRow));
    let entry =
        f.store.read(|view| view.suppression(ACCOUNT, &address("friend+x@REMOTE.example"))).unwrap().unwrap();
    assert!(entry.reason.contains("554 no") && entry.reason.contains("third failure"), "{}", entry.reason);
    assert!(matches!(entry.source, SuppressionSource::Queue(_)));
}

#[test]
fn failures_in_a_row_are_remembered_only_while_they_can_count() {
    let streaks = |f: &Fixture| {
        f.store.read(|view| view.tables.streaks.from(&view.txn, std::ops::Bound::Unbounded, 10)).unwrap()
    };
    let mut f = Fixture::new();
    f.fail("listed@remote.example", Suppress::Now);
    f.fail("listed@remote.example", Suppress::No);
    assert_eq!(streaks(&f), [], "on the list");
    for _ in 0..3 {
        f.fail("third@remote.example", Suppress::IfThirdInRow);
    }
    assert_eq!(streaks(&f), [], "on the list after the third");

    let from = f.accept(&["friend@remote.example"; 2]);
    let later = NOW.after(Duration::from_secs(60));
    for (id, now) in [(from, NOW), (from + 1, later)] {
        let decision = Decision::Failed { verdict: None, suppress: Suppress::No };
        f.apply(Change::Settle(vec![Settlement {
            id: QueueId(id),
            now,
            attempt: None,
            decision,
            report: None,
        }]));
    }
    let sweep = |now: Timestamp| Change::Sweep(Sweep { now, events_before: NOW, limit: 100 });
    f.apply(sweep(NOW.after(KEEP)));
    let left = streaks(&f);
    let second = Final { id: QueueId(from + 1), until: later.after(KEEP), failed: true };
    assert_eq!(left[0].1.latest, [second]);
    f.apply(sweep(later.after(KEEP)));
    assert_eq!(streaks(&f), [], "history has none of them any more");

    let mut f =
        Fixture::with(options(), AccountRecord { keep_retired_messages: Duration::ZERO, ..account() });
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, None, Decision::Failed { verdict: None, suppress: Suppress::No });
    assert_eq!(streaks(&f), [], "no history");
}

#[test]
fn a_batch_that_is_reported_as_failed_was_not_done() {
    let mut f = Fixture::new();
    let inner = f.store.inner.clone();
    let mut txn = inner.env.write_txn().unwrap();
    inner.tables.domains.raw().put(&mut txn, "damaged.example", b"?").unwrap();
    txn.commit().unwrap();
    let before = inner.tables.accounts.len(&inner.env.read_txn().unwrap()).unwrap();
    let new = AccountRecord { name: "new".into(), ..account() };
    let error = f.writer.commit([Change::PutAccount(new)].iter()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { table: "domains" }), "{error}");
    assert_eq!(inner.tables.accounts.len(&inner.env.read_txn().unwrap()).unwrap(), before);
}

#[test]
fn a_mailbox_failure_suppresses_at_once_and_only_once() {
    let mut f = Fixture::new();
    assert!(!f.fail("friend@remote.example", Suppress::No));
    assert!(f.fail("friend@remote.example", Suppress::Now));
    assert!(!f.fail("friend@remote.example", Suppress::Now), "it is on the list already");
    let account = ACCOUNT;
    let address = BaseAddress::of(&address("friend@remote.example"));
    assert_eq!(
        f.try_apply(Change::Unsuppress { account, address: address.clone() }),
        Ok(Applied::Unsuppressed)
    );
    assert_eq!(f.try_apply(Change::Unsuppress { account, address }), Err(Refusal::NotFound));
}

#[test]
fn many_addresses_are_suppressed_at_once_and_those_there_already_stay_as_they_are() {
    let mut f = Fixture::new();
    let new = |text: &str, reason: &str| NewSuppression {
        account: ACCOUNT,
        address: address(text),
        now: NOW,
        reason: reason.into(),
        source: SuppressionSource::Manual,
    };
    f.apply(Change::Suppress(new("ann@b.example", "first")));
    let many = ["bob@b.example", "Ann+x@b.example", "BOB@b.example", "eve@b.example"];
    let many = many.map(|text| new(text, "later")).to_vec();
    assert_eq!(f.apply(Change::SuppressMany(many)), Applied::SuppressedMany { added: 2, present: 2 });
    assert_eq!(f.apply(Change::SuppressMany(Vec::new())), Applied::SuppressedMany { added: 0, present: 0 });
    let list = f.store.read(|view| view.suppressions(ACCOUNT, None, 10)).unwrap();
    let shown: Vec<_> = list.iter().map(|(base, record)| (base.as_str(), record.reason.as_str())).collect();
    assert_eq!(shown, [("ann@b.example", "first"), ("bob@b.example", "later"), ("eve@b.example", "later")]);
}

#[test]
fn nothing_is_put_on_the_list_of_an_account_that_is_not_there() {
    let mut f = Fixture::new();
    let gone = AccountId(99);
    let new = |account| NewSuppression {
        account,
        address: address("ann@b.example"),
        now: NOW,
        reason: "late".into(),
        source: SuppressionSource::Manual,
    };
    for change in [Change::Suppress(new(gone)), Change::SuppressMany(vec![new(ACCOUNT), new(gone)])] {
        assert_eq!(f.try_apply(change), Err(Refusal::NotFound));
    }
    for account in [ACCOUNT, gone] {
        assert!(f.store.read(|view| view.suppressions(account, None, 10)).unwrap().is_empty());
    }
}

#[test]
fn a_refused_change_leaves_no_trace_and_harms_no_other() {
    let mut f = Fixture::new();
    let from_id = FromId::new(NOW, [7; 12]);
    let mut with_id = submission(&["friend@remote.example"], b"x");
    with_id.recipients[0].from_id = Some(from_id.clone());
    let mut unknown = submission(&["friend@remote.example"], b"x");
    unknown.account = AccountId(99);
    let changes = [
        Change::Accept(with_id.clone()),
        Change::Accept(with_id),
        Change::Accept(unknown),
        Change::Accept(submission(&["other@remote.example"], b"y")),
    ];
    let results = f.writer.commit(changes.iter()).unwrap().results;
    assert_eq!(
        results,
        [
            Ok(Applied::Accepted(QueueId(1))),
            Err(Refusal::FromIdInUse),
            Err(Refusal::NotFound),
            Ok(Applied::Accepted(QueueId(2)))
        ]
    );
    assert_eq!(f.store.read(|view| view.totals()).unwrap().queued, 2);
    assert_eq!(f.store.read(|view| view.by_from_id(ACCOUNT, &from_id)).unwrap(), Some(QueueId(1)));
}

#[test]
fn mail_arrives_in_the_inbox_and_its_hook_outlives_nothing_it_needs() {
    let mut f = Fixture::new();
    let Applied::Arrived(arrived) = f.apply(Change::Arrive(arrival(None))) else { panic!() };
    let msgs = [arrived[0].msg.unwrap()];
    let message = f.store.read(|view| view.mailbox_message(msgs[0])).unwrap().unwrap();
    let mailbox = f.store.read(|view| view.mailbox(ACCOUNT, message.mailbox)).unwrap().unwrap();
    assert_eq!(mailbox.name, "Inbox");
    assert_eq!(f.store.read(|view| view.mailbox_messages(message.mailbox, None, 10)).unwrap(), msgs);
    let hooks = f.store.read(|view| view.due_hooks("http://hooks.example/in", NOW, 10, |_| false)).unwrap();
    let hook = f.store.read(|view| view.hook(hooks[0])).unwrap().unwrap();
    let HookSubject::Incoming(incoming) = hook.subject else { panic!() };
    assert_eq!(incoming.msg, msgs[0]);
}

#[test]
fn mail_to_a_known_from_id_makes_no_incoming_hook() {
    let mut f = Fixture::new();
    let from_id = FromId::new(NOW, [7; 12]);
    let mut sent = submission(&["friend@remote.example"], b"x");
    sent.recipients[0].from_id = Some(from_id.clone());
    f.apply(Change::Accept(sent));
    let folded = FromId::parse(&from_id.as_str().to_uppercase()).unwrap();
    let hooks = |f: &Fixture| {
        f.store.read(|view| view.due_hooks("http://hooks.example/in", NOW, 10, |_| false)).unwrap().len()
    };
    f.apply(Change::Arrive(arrival(Some(folded))));
    assert_eq!(hooks(&f), 0);
    f.apply(Change::Arrive(arrival(Some(FromId::new(NOW, [8; 12])))));
    assert_eq!(hooks(&f), 1);
}

#[test]
fn retention_removes_what_expired_and_nothing_else() {
    let mut f = Fixture::new();
    let from_id = FromId::new(NOW, [7; 12]);
    let mut sent = submission(&["friend@remote.example"], b"x");
    sent.recipients[0].from_id = Some(from_id.clone());
    f.apply(Change::Accept(sent));
    f.settle(1, Some(delivered()), Decision::Delivered);
    let sweep = |now: Timestamp, limit| Change::Sweep(Sweep { now, events_before: now, limit });
    assert_eq!(f.apply(sweep(NOW, 100)), Applied::Swept(0));
    assert!(f.store.read(|view| view.by_from_id(ACCOUNT, &from_id)).unwrap().is_some());
    let end = NOW.after(KEEP);
    assert_eq!(f.apply(sweep(end, 1)), Applied::Swept(1), "a bounded piece at a time");
    while f.apply(sweep(end, 1)) != Applied::Swept(0) {}
    let totals = f.store.read(|view| view.totals()).unwrap();
    // The hook is still pending.
    assert_eq!((totals.retired, totals.events, totals.hooks), (0, 0, 1));
    assert!(f.store.read(|view| view.by_from_id(ACCOUNT, &from_id)).unwrap().is_none());
    f.accept(&["friend@remote.example"]);
    let events = f.store.read(|view| view.events(ACCOUNT, EventSeq(0), 10)).unwrap();
    assert_eq!(events[0].0, EventSeq(4), "the sequence goes on");
}

#[test]
fn keeping_no_history_keeps_none() {
    let mut account = account();
    account.keep_retired_messages = Duration::ZERO;
    account.keep_retired_hooks = Duration::ZERO;
    let mut f = Fixture::with(options(), account);
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, Some(refused(451, "later")), Decision::Retry(NOW));
    f.settle(id, Some(delivered()), Decision::Delivered);
    let totals = f.store.read(|view| view.totals()).unwrap();
    assert_eq!((totals.retired, totals.retired_hooks, totals.hooks), (0, 0, 1));
}

#[test]
fn a_large_content_lives_in_a_file_that_goes_with_it() {
    let mut f = Fixture::new();
    let large = bytes::Bytes::from(vec![b'x'; 5000]);
    let files = |dir: &Path| std::fs::read_dir(dir.join("content")).unwrap().count();
    let staged = f.store.stage([3; 16], large.clone()).unwrap();
    let orphan = f.store.stage([4; 16], large.clone()).unwrap();
    assert!(matches!(orphan, ContentRecord::File { size: 5000, .. }));
    let mut submission = submission(&["friend@remote.example"], b"");
    submission.content = staged;
    f.apply(Change::Accept(submission));
    assert_eq!(f.store.read(|view| view.content(ContentId(1))).unwrap(), Some(large.clone()));

    // A restart keeps what is referred to and removes the rest.
    let Fixture { store, writer, dir } = f;
    drop((store, writer));
    assert_eq!(files(dir.path()), 2);
    let (store, writer) = Store::open(dir.path(), options()).unwrap();
    let mut f = Fixture { store, writer, dir };
    assert_eq!(files(f.dir.path()), 1);
    assert_eq!(f.store.read(|view| view.content(ContentId(1))).unwrap(), Some(large));
    f.settle(1, Some(delivered()), Decision::Delivered);
    assert_eq!(files(f.dir.path()), 0);
}

#[test]
fn a_second_process_is_refused_and_a_restart_finds_everything() {
    let mut f = Fixture::new();
    f.accept(&["friend@remote.example"]);
    let refused = Store::open(f.dir.path(), options()).err().unwrap();
    assert!(matches!(refused, StoreError::InUse(_)) && refused.to_string().contains("in use by another"));
    let before = f.store.dump().unwrap();
    let Fixture { store, writer, dir } = f;
    drop((store, writer));
    let (store, _writer) = Store::open(dir.path(), options()).unwrap();
    assert_eq!(store.dump().unwrap(), before);
    assert!(store.directory().owner(&address("APP+tag@example.com")).is_some());
    assert!(store.directory().owner(&address("any@all.example")).is_some());
    assert!(store.directory().owner(&address("any@example.com")).is_none());
}

#[test]
fn a_full_map_refuses_new_mail_still_settles_and_recovers() {
    let small =
        StoreOptions { map_size: 4 << 20, map_reserve: 1 << 20, disk_reserve: 0, inline_max: 1 << 20 };
    let mut f = Fixture::with(small, account());
    let body: &'static [u8] = Box::leak(vec![b'x'; 50_000].into_boxed_slice());
    let mut accepted = Vec::new();
    let refusal = loop {
        match f.try_apply(Change::Accept(submission(&["friend@remote.example"], body))) {
            Ok(Applied::Accepted(id)) => accepted.push(id),
            other => break other,
        }
        assert!(accepted.len() < 1000, "the map never fills");
    };
    assert_eq!(refusal, Err(Refusal::Full));
    assert!(!f.store.has_room().unwrap());
    assert!(accepted.len() > 10);
    for id in &accepted {
        f.settle(id.0, Some(delivered()), Decision::Delivered);
    }
    assert!(f.store.has_room().unwrap());
    assert!(f.try_apply(Change::Accept(submission(&["friend@remote.example"], body))).is_ok());
}

#[test]
fn a_disk_with_too_little_left_refuses_new_mail() {
    let mut f = Fixture::with(StoreOptions { disk_reserve: u64::MAX, ..options() }, account());
    let refused = f.try_apply(Change::Accept(submission(&["friend@remote.example"], b"x")));
    assert_eq!(refused, Err(Refusal::Full));
    assert!(!f.store.has_room().unwrap());
    assert_eq!(f.try_apply(Change::Arrive(arrival(None))), Err(Refusal::Full));
}

#[test]
fn data_of_a_newer_layout_is_left_alone() {
    let f = Fixture::new();
    let inner = &f.store.inner;
    let mut txn = inner.env.write_txn().unwrap();
    inner.tables.meta.put(&mut txn, "layout", &7_u32.to_be_bytes()).unwrap();
    txn.commit().unwrap();
    let Fixture { store, writer, dir } = f;
    drop((store, writer));
    let error = Store::open(dir.path(), options()).err().unwrap().to_string();
    assert!(error.contains("layout 7") && error.contains("newer version"), "{error}");
}

#[test]
fn counters_of_another_shape_are_reported_and_left_alone() {
    for counters in [&[1_u8, 2][..], &[0; 30]] {
        let f = Fixture::new();
        let inner = &f.store.inner;
        let mut txn = inner.env.write_txn().unwrap();
        inner.tables.meta.put(&mut txn, "counters", counters).unwrap();
        txn.commit().unwrap();
        let Fixture { store, writer, dir } = f;
        drop((store, writer));
        let error = Store::open(dir.path(), options()).err().unwrap().to_string();
        assert!(error.contains("a shape that this version does not know"), "{error}");
    }
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let env = env::open(dir.path(), &options(), 1).unwrap();
    let txn = env.write_txn().unwrap();
    env.create_databases_and_commit(txn, |opener, txn| {
        opener
            .create_database::<heed::types::Bytes, heed::types::Bytes>(txn, Some("theirs"))
            .map(heed::CommitOrAbort::<_, ()>::Commit)
    })
    .unwrap()
    .unwrap_commit();
    drop(env);
    let before = std::fs::read(dir.path().join("data.mdb")).unwrap();
    let error = Store::open(dir.path(), options()).err().unwrap();
    assert!(matches!(error, StoreError::NotOurs(_)), "{error}");
    assert_eq!(std::fs::read(dir.path().join("data.mdb")).unwrap(), before);
}

#[test]
fn the_dump_has_no_secrets() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, Some(refused(451, "later")), Decision::Retry(NOW));
    let dump = f.store.dump().unwrap();
    assert!(dump.contains("friend") && !dump.contains("secret"), "{dump}");
}

#[test]
fn the_same_changes_make_the_same_state() {
    let run = || {
        let mut f = Fixture::new();
        let first = f.accept(&["a@remote.example", "b@other.example"]);
        f.settle(first, Some(refused(451, "later")), Decision::Retry(NOW.after(KEEP)));
        f.apply(Change::Arrive(arrival(None)));
        f.fail("c@remote.example", Suppress::Now);
        f.store.dump().unwrap()
    };
    assert_eq!(run(), run());
}

#[test]
fn destinations_are_listed_one_seek_each() {
    let mut f = Fixture::new();
    f.accept(&["a@b.example", "b@b.example", "a@a.example", "a@c.example"]);
    let names = |after: Option<&str>, limit| {
        let page = f.store.read(|view| view.destinations(after, limit)).unwrap();
        page.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2), ["a.example", "b.example"]);
    assert_eq!(names(Some("b.example"), 2), ["c.example"]);
}

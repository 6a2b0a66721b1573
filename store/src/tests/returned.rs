//! What comes back about messages that were sent.

use super::*;
use mail::feedback::{
    Complaint, Feedback, OriginalMessage, RecipientStatus, ReportedCode, StatusAction, StatusNotification,
};

const FRIEND: &str = "friend@remote.example";

fn status(recipient: &str, action: StatusAction, code: u16, text: &str) -> RecipientStatus {
    let enhanced = text.split_once(' ').and_then(|(enhanced, _)| enhanced.parse().ok());
    RecipientStatus {
        names: vec![address(recipient)],
        action,
        code: ReportedCode::Quoted(code),
        enhanced,
        text: text.into(),
        verdict: Verdict::of(code, enhanced, text),
    }
}

fn dsn(blocks: &[RecipientStatus]) -> Feedback {
    Feedback::Status(StatusNotification { recipients: blocks.to_vec(), ..StatusNotification::default() })
}

fn failed(recipient: &str) -> Feedback {
    dsn(&[status(recipient, StatusAction::Failed, 550, "5.1.1 no such user")])
}

fn from_id(seed: u8) -> FromId {
    FromId::new(NOW, [seed; 12])
}

impl Fixture {
    fn send(&mut self, seed: u8) -> QueueId {
        let mut sent = submission(&[FRIEND], b"x");
        sent.recipients[0].from_id = Some(from_id(seed));
        let Applied::Accepted(id) = self.apply(Change::Accept(sent)) else { panic!() };
        id
    }

    fn delivered(&mut self, seed: u8) -> QueueId {
        let id = self.send(seed);
        self.settle(id.0, Some(delivered()), Decision::Delivered);
        id
    }

    fn comes(&mut self, change: impl FnOnce(&mut Arrival)) -> Arrived {
        let mut arrival = arrival(None);
        change(&mut arrival);
        arrival.named = self.named(&arrival);
        match self.apply(Change::Arrive(arrival)) {
            Applied::Arrived(arrived) => arrived[0],
            other => panic!("{other:?}"),
        }
    }

    fn named(&self, arrival: &Arrival) -> BTreeMap<AccountId, QueueId> {
        let Some(feedback) = &arrival.feedback else { return BTreeMap::new() };
        self.store.read(|view| view.named([ACCOUNT], feedback)).unwrap()
    }

    fn comes_to(&mut self, seed: u8, feedback: Option<Feedback>) -> Arrived {
        self.comes(|arrival| {
            arrival.recipients[0].from_id = Some(from_id(seed));
            arrival.feedback = feedback;
        })
    }

    fn latest(&self) -> EventRecord {
        let events = self.store.read(|view| view.events(ACCOUNT, EventSeq(0), 100)).unwrap();
        events.last().unwrap().1.event.clone()
    }

    fn hooks(&self, which: &str) -> Vec<EventKind> {
        let url = format!("http://hooks.example/{which}");
        self.store
            .read(|view| {
                let ids = view.due_hooks(&url, NOW, 100, |_| false)?;
                ids.into_iter().map(|id| Ok(view.hook(id)?.unwrap().subject)).collect::<Result<Vec<_>, _>>()
            })
            .unwrap()
            .into_iter()
            .map(|subject| match subject {
                HookSubject::Outgoing(outgoing) => outgoing.event.kind,
                HookSubject::Incoming(_) => EventKind::Queued,
            })
            .collect()
    }

    fn suppressed(&self) -> Option<SuppressionRecord> {
        self.store.read(|view| view.suppression(ACCOUNT, &address(FRIEND))).unwrap()
    }
}

#[test]
fn a_report_is_an_event_a_hook_and_a_line_in_the_history() {
    for (action, kind) in [
        (StatusAction::Delivered, EventKind::Delivered),
        (StatusAction::Relayed, EventKind::Relayed),
        (StatusAction::Expanded, EventKind::Expanded),
        (StatusAction::Delayed, EventKind::Delayed),
        (StatusAction::Failed, EventKind::Failed),
    ] {
        let mut f = Fixture::new();
        let id = f.delivered(1);
        let arrived = f.comes_to(1, Some(dsn(&[status(FRIEND, action, 452, "4.2.2 full")])));
        assert_eq!(arrived.returned, Some(ReturnKind::Status(action)));
        let event = f.latest();
        assert_eq!((event.kind, event.queue_id, event.code, event.dsn), (kind, id, 452, true));
        assert_eq!((event.enhanced, &*event.error), ("4.2.2".parse().ok(), "4.2.2 full"));
        assert_eq!(f.hooks("out"), [kind], "it takes the place of the one before");
        assert_eq!(f.hooks("in"), []);
        let lines = f.store.read(|view| view.returns(id)).unwrap();
        assert_eq!((lines.len(), lines[0].kind), (1, ReturnKind::Status(action)));
        assert!(f.store.read(|view| view.retired_message(id)).unwrap().is_some(), "it stays in its place");
    }
}

#[test]
fn a_report_of_a_failure_suppresses_like_an_answer() {
    let mut f = Fixture::new();
    let id = f.delivered(1);
    assert!(f.comes_to(1, Some(failed("Friend+tag@remote.example"))).suppressing);
    let entry = f.suppressed().unwrap();
    assert_eq!(entry.source, SuppressionSource::Dsn(id));
    let expected = format!("550 5.1.1 no such user (mailbox, permanent); DSN about queue message {id}");
    assert_eq!(entry.reason, expected);
    assert!(f.latest().suppressing);
}

#[test]
fn a_status_without_a_reply_suppresses_only_where_it_speaks_of_the_mailbox_or_domain() {
    for (code, enhanced, suppressing) in [
        (ReportedCode::FromStatus(500), "5.1.1", true),
        (ReportedCode::FromStatus(500), "5.1.2", true),
        (ReportedCode::FromStatus(500), "5.2.1", true),
        (ReportedCode::FromStatus(400), "4.1.1", false),
        (ReportedCode::FromStatus(500), "5.2.2", false),
        (ReportedCode::FromStatus(500), "5.4.4", false),
        (ReportedCode::FromStatus(400), "4.4.7", false),
        (ReportedCode::Untold, "", false),
        (ReportedCode::Quoted(554), "5.4.4", true),
    ] {
        let mut f = Fixture::new();
        let mut arrived = None;
        // Three in a row are not too many, unless somebody answered.
        for seed in 1..=3 {
            f.delivered(seed);
            let enhanced = enhanced.parse().ok();
            let verdict = Verdict::of(code.number(), enhanced, "");
            let told = status(FRIEND, StatusAction::Failed, 0, "");
            let told = RecipientStatus { code, enhanced, verdict, ..told };
            arrived = Some(f.comes_to(seed, Some(dsn(&[told]))));
            assert_eq!(f.latest().code, code.number());
        }
        assert_eq!(f.suppressed().is_some(), suppressing, "{code:?} {enhanced}: {arrived:?}");
    }
}

#[test]
fn reports_of_three_messages_in_a_row_suppress() {
    let full = || Some(dsn(&[status(FRIEND, StatusAction::Failed, 552, "5.2.2 over quota")]));
    let mut f = Fixture::new();
    for (seed, fails, suppressing) in [
        (1, true, false),
        (2, true, false),
        (3, false, false),
        (4, true, false),
        (5, true, false),
        (6, true, true),
    ] {
        f.delivered(seed);
        let arrived = if fails { f.comes_to(seed, full()).suppressing } else { false };
        assert_eq!(arrived, suppressing, "message {seed}");
    }
    assert!(f.suppressed().unwrap().reason.contains("third failure in a row"));
}

/// Reports in that order, each with the number of its message and whether it suppresses.
fn full_mailbox_reports(f: &mut Fixture, reports: &[(u8, bool)]) {
    for &(seed, suppressing) in reports {
        let full = dsn(&[status(FRIEND, StatusAction::Failed, 552, "5.2.2 over quota")]);
        assert_eq!(f.comes_to(seed, Some(full)).suppressing, suppressing, "{seed} of {reports:?}");
    }
}

#[test]
fn late_reports_count_with_what_was_delivered_meanwhile() {
    for (delivered, reports) in [
        (3, &[(1, false), (2, false), (3, true)][..]),
        (3, &[(3, false), (2, false), (1, true)]),
        (3, &[(2, false), (1, false), (3, true)]),
        (4, &[(1, false), (2, false), (3, false), (4, true)]),
        (4, &[(4, false), (2, false), (1, false), (3, true)]),
        (5, &[(1, false), (2, false), (4, false), (5, false), (3, true)]),
        (6, &[(6, false), (4, false), (1, false), (2, false), (3, false), (5, true)]),
        (2, &[(1, false), (1, false), (1, false), (2, false), (2, false)]),
    ] {
        let mut f = Fixture::new();
        for seed in 1..=delivered {
            f.delivered(seed);
        }
        full_mailbox_reports(&mut f, reports);
    }
}

#[test]
fn a_message_that_was_delivered_late_breaks_the_row() {
    let mut f = Fixture::new();
    let slow = f.send(1);
    f.delivered(2);
    f.delivered(3);
    f.apply(Change::Settle(vec![Settlement {
        id: slow,
        now: NOW.after(Duration::from_secs(1)),
        attempt: Some(delivered()),
        decision: Decision::Delivered,
        report: None,
    }]));
    full_mailbox_reports(&mut f, &[(2, false), (3, false)]);
    assert!(!f.fail(FRIEND, Suppress::IfThirdInRow), "the latest other one was delivered");
}

#[test]
fn where_too_much_went_out_meanwhile_reports_begin_a_row_that_counts_from_then_on() {
    let mut f = Fixture::new();
    for seed in 1..=3 {
        f.delivered(seed);
    }
    f.accept(&["other@remote.example"; 1_000]);
    full_mailbox_reports(&mut f, &[(1, false), (2, false), (3, false)]);
    f.delivered(4);
    f.accept(&["other@remote.example"; 1_000]);
    full_mailbox_reports(&mut f, &[(4, false), (1, false), (3, false)]);
    for (seed, suppressing) in [(5, false), (6, true)] {
        f.delivered(seed);
        full_mailbox_reports(&mut f, &[(seed, suppressing)]);
    }
}

#[test]
fn old_reports_that_come_again_do_not_end_a_fresh_start() {
    let mut f = Fixture::new();
    for seed in 1..=3 {
        f.delivered(seed);
    }
    full_mailbox_reports(&mut f, &[(1, false), (2, false), (3, true)]);
    let address = BaseAddress::of(&address(FRIEND));
    f.apply(Change::Unsuppress { account: ACCOUNT, address });
    full_mailbox_reports(&mut f, &[(1, false)]);
    f.delivered(4);
    full_mailbox_reports(&mut f, &[(4, false)]);
}

#[test]
fn a_report_that_overtakes_the_end_of_the_session_stays_the_news() {
    let mut f = Fixture::new();
    let id = f.send(1);
    let full = dsn(&[status(FRIEND, StatusAction::Failed, 552, "5.2.2 over quota")]);
    f.comes_to(1, Some(full));
    assert!(f.store.read(|view| view.message(id)).unwrap().is_some(), "it is still queued");
    f.settle(id.0, Some(delivered()), Decision::Delivered);
    assert_eq!(f.hooks("out"), [EventKind::Failed]);
    use EventKind::*;
    assert_eq!(f.events(), [Queued, Failed, Attempted, Delivered], "the log has all");
    let streak = |view: &View<'_>| {
        let key = (ACCOUNT, FRIEND.to_owned());
        view.tables.streaks.get(&view.txn, &key)
    };
    assert!(f.store.read(streak).unwrap().unwrap().latest[0].failed);
}

#[test]
fn a_complaint_suppresses_at_once() {
    let mut f = Fixture::new();
    let id = f.delivered(1);
    let arrived = f.comes_to(1, Some(Feedback::Complaint(Complaint::default())));
    assert_eq!((arrived.returned, arrived.suppressing), (Some(ReturnKind::Complaint), true));
    let event = f.latest();
    assert_eq!((event.kind, event.suppressing, event.code), (EventKind::Failed, true, 0));
    assert!(event.error.contains("complaint"));
    let entry = f.suppressed().unwrap();
    assert_eq!(entry.source, SuppressionSource::Complaint(id));
    assert_eq!(entry.reason, format!("complaint about queue message {id}"));
}

#[test]
fn anything_else_that_comes_to_a_from_id_is_unrecognized() {
    let block = |name| status(name, StatusAction::Failed, 550, "5.1.1 no such user");
    let others = dsn(&[block("somebody@remote.example"), block("else@remote.example")]);
    for feedback in [None, Some(others)] {
        let mut f = Fixture::new();
        f.delivered(1);
        let arrived = f.comes_to(1, feedback);
        assert_eq!((arrived.returned, arrived.suppressing), (Some(ReturnKind::Unrecognized), false));
        assert!(arrived.msg.is_some(), "a person may want to read it");
        assert_eq!(f.latest().kind, EventKind::Unrecognized);
        assert_eq!((f.hooks("in"), f.suppressed()), (vec![], None));
    }
}

#[test]
fn a_report_of_one_recipient_alone_fits_whatever_hosts_further_on_call_it() {
    let mut f = Fixture::new();
    f.delivered(1);
    let arrived = f.comes_to(1, Some(failed("forwarded@inside.example")));
    assert_eq!(
        (arrived.returned, arrived.suppressing),
        (Some(ReturnKind::Status(StatusAction::Failed)), true)
    );
    assert!(f.suppressed().is_some());
}

/// Whoever got the same message knows its Message-ID, and that of the others with it.
#[test]
fn a_report_by_name_puts_nobody_on_the_list_whom_another_recipient_could_have_meant() {
    let other = "other@remote.example";
    for (recipients, from_ids, suppressing) in
        [(&[FRIEND, other][..], true, false), (&[FRIEND], true, true), (&[FRIEND, other], false, true)]
    {
        let mut sent = submission(recipients, b"x");
        for (seed, recipient) in (1..).zip(&mut sent.recipients) {
            recipient.from_id = from_ids.then(|| from_id(seed));
        }
        let original =
            OriginalMessage { message_id: Some(sent.message_id.clone()), ..OriginalMessage::default() };
        let blocks = vec![status(FRIEND, StatusAction::Failed, 550, "5.1.1 no")];
        let report =
            StatusNotification { recipients: blocks, original: original.clone(), ..Default::default() };
        let complaint = Complaint { recipients: vec![address(FRIEND)], original };
        for feedback in [Feedback::Status(report), Feedback::Complaint(complaint)] {
            let mut f = Fixture::new();
            f.apply(Change::Accept(sent.clone()));
            let arrived = f.comes(|arrival| arrival.feedback = Some(feedback.clone()));
            assert!(arrived.returned.is_some(), "it is told: {feedback:?}");
            assert_eq!(f.latest().kind, EventKind::Failed);
            assert_eq!(arrived.suppressing, suppressing, "{recipients:?} {from_ids} {feedback:?}");
            assert_eq!(f.suppressed().is_some(), suppressing, "{recipients:?} {from_ids} {feedback:?}");
        }
    }
}

#[test]
fn a_report_of_a_delivery_has_a_code_even_if_it_tells_none() {
    let mut f = Fixture::new();
    f.delivered(1);
    let told = status(FRIEND, StatusAction::Delivered, 0, "");
    f.comes_to(1, Some(dsn(&[RecipientStatus { code: ReportedCode::Untold, ..told }])));
    assert_eq!((f.latest().kind, f.latest().code), (EventKind::Delivered, 250));
}

/// A thousand blocks that fit nobody, about a message to many: it came to a thousand addresses, and the writer waited
/// for minutes.
#[test]
#[expect(clippy::disallowed_methods, reason = "it is about real time")]
fn a_large_report_to_many_about_a_message_to_many_costs_little() {
    let mut f = Fixture::new();
    let recipients: Vec<_> = (0..200).map(|n| format!("to{n}@remote.example")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let sent = submission(&recipients, b"x");
    let message_id = Some(sent.message_id.clone());
    f.apply(Change::Accept(sent));
    let blocks =
        (0..1000).map(|n| status(&format!("no{n}@remote.example"), StatusAction::Failed, 550, "5.1.1 no"));
    let original = OriginalMessage { message_id, ..OriginalMessage::default() };
    let report = StatusNotification { recipients: blocks.collect(), original, ..Default::default() };
    let begun = std::time::Instant::now();
    let arrived = f.comes(|arrival| {
        arrival.recipients = vec![arrival.recipients[0].clone(); 1000];
        arrival.feedback = Some(Feedback::Status(report));
    });
    assert_eq!(arrived.returned, None);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn reports_without_a_from_id_are_matched_by_name_and_recipient() {
    let named = |message_id: Option<&str>, recipients: &[&str]| OriginalMessage {
        message_id: message_id.map(str::to_owned),
        return_path: None,
        recipients: recipients.iter().map(|text| address(text)).collect(),
    };
    let status = |envelope_id: Option<&str>, message_id, recipient| {
        let blocks = vec![status(recipient, StatusAction::Failed, 550, "5.1.1 no")];
        let envelope_id = envelope_id.map(str::to_owned);
        let original = named(message_id, &[]);
        Feedback::Status(StatusNotification { envelope_id, recipients: blocks, original })
    };
    let complaint = |message_id, recipients: &[&str], to: &[&str]| {
        let recipients = recipients.iter().map(|text| address(text)).collect();
        Feedback::Complaint(Complaint { recipients, original: named(message_id, to) })
    };
    let known = submission(&[FRIEND], b"x").message_id;
    let bare = known.trim_matches(['<', '>']).to_owned();
    let id = Some(known.as_str());
    for (feedback, expected) in [
        (status(Some(&bare), None, FRIEND), true),
        (status(Some("my+20envelope"), None, FRIEND), true),
        (status(Some("my+2B20envelope"), None, FRIEND), true),
        (status(Some("unknown"), id, FRIEND), true),
        (status(None, id, "FRIEND@Remote.example"), true),
        (status(None, id, "stranger@remote.example"), false),
        (status(Some("unknown"), Some("<unknown@example.com>"), FRIEND), false),
        (status(None, None, FRIEND), false),
        (complaint(id, &[FRIEND], &[]), true),
        (complaint(id, &[], &[FRIEND]), true),
        (complaint(id, &[], &["other@remote.example", FRIEND]), false),
        (complaint(id, &["stranger@remote.example"], &[FRIEND]), false),
        (complaint(id, &[], &[]), false),
    ] {
        let mut f = Fixture::new();
        let mut sent = submission(&["other@remote.example", FRIEND], b"x");
        sent.envid = Some("my+20envelope".into());
        let Applied::Accepted(QueueId(first)) = f.apply(Change::Accept(sent)) else { panic!() };
        let arrived = f.comes(|arrival| arrival.feedback = Some(feedback.clone()));
        assert_eq!(arrived.returned.is_some(), expected, "{feedback:?}");
        assert_eq!(f.suppressed().is_some(), expected, "{feedback:?}");
        // What fits nothing changes nothing, and is mail like other mail.
        assert_eq!(f.hooks("in").is_empty(), expected, "{feedback:?}");
        if expected {
            assert_eq!(f.latest().queue_id, QueueId(first + 1));
        }
    }
}

#[test]
fn the_return_path_that_a_report_names_finds_the_message_of_any_account() {
    let mut f = Fixture::new();
    f.apply(Change::PutAccount(AccountRecord {
        name: "desk".into(),
        addresses: vec![AddressPattern::Address(address("desk@example.com"))],
        ..account()
    }));
    f.delivered(1);
    let arrived = f.comes(|arrival| {
        arrival.recipients[0].account = AccountId(2);
        arrival.recipients[0].rcpt_to = address("desk@example.com");
        arrival.feedback = Some(Feedback::Complaint(Complaint::default()));
        arrival.returned_from_id = Some((ACCOUNT, from_id(1)));
    });
    assert!(arrived.suppressing && f.suppressed().is_some());
}

#[test]
fn reports_stay_out_of_an_inbox_that_does_not_want_them_and_of_a_full_one() {
    let keep = |dsn_to_inbox, mailbox_quota| AccountRecord { dsn_to_inbox, mailbox_quota, ..account() };
    for (account, stored) in
        [(keep(true, None), true), (keep(false, None), false), (keep(true, Some(0)), false)]
    {
        let mut f = Fixture::with(options(), account);
        f.delivered(1);
        let staged = f.store.stage([9; 16], vec![b'x'; 5000].into()).unwrap();
        let arrived = f.comes(|arrival| {
            arrival.recipients[0].from_id = Some(from_id(1));
            arrival.feedback = Some(failed(FRIEND));
            arrival.size = staged.size();
            arrival.content = staged;
        });
        assert_eq!((arrived.msg.is_some(), arrived.suppressing), (stored, true));
        let files = std::fs::read_dir(f.dir.path().join("content")).unwrap().count();
        assert_eq!(files, usize::from(stored));
    }
}

#[test]
fn what_comes_back_goes_with_the_history_and_is_bounded() {
    let mut f = Fixture::new();
    let id = f.delivered(1);
    for _ in 0..120 {
        f.comes_to(1, None);
    }
    assert_eq!(f.store.read(|view| view.returns(id)).unwrap().len(), 100);
    let unrecognized = f.events().into_iter().filter(|kind| *kind == EventKind::Unrecognized).count();
    assert!(unrecognized <= 100);
    let later = NOW.after(KEEP).after(Duration::from_secs(1));
    f.apply(Change::Sweep(Sweep { now: later, events_before: later, limit: 1000 }));
    f.store
        .read(|view| {
            assert_eq!(view.returns(id)?, []);
            let left = view.tables.references.from(&view.txn, std::ops::Bound::Unbounded, 9)?;
            assert_eq!(left, []);
            Ok(())
        })
        .unwrap();
    let arrived = f.comes_to(1, Some(failed(FRIEND)));
    assert_eq!((arrived.returned, f.suppressed()), (None, None), "nobody knows it any more");
}

#[test]
fn a_report_that_comes_to_two_addresses_is_told_once() {
    let mut f = Fixture::new();
    let id = f.delivered(1);
    let events = f.events().len();
    let mut arrival = arrival(None);
    arrival.feedback = Some(failed(FRIEND));
    arrival.recipients[0].from_id = Some(from_id(1));
    arrival.recipients.push(arrival.recipients[0].clone());
    let Applied::Arrived(arrived) = f.apply(Change::Arrive(arrival)) else { panic!() };
    assert_eq!(arrived.iter().filter(|arrived| arrived.returned.is_some()).count(), 1);
    assert_eq!(f.events().len(), events + 1);
    assert_eq!(f.hooks("out"), [EventKind::Failed]);
    assert_eq!(f.store.read(|view| view.returns(id)).unwrap().len(), 1);
}

mod chunking;
mod hostile;
mod limits;
mod login;

use proptest::prelude::*;

use super::*;
use crate::params::{Notify, OriginalRecipient, Ret};
use crate::server::{ServerOptions, ServerSession, ServerStep, ServerTimeouts};
use crate::transaction::{Recipient, Transaction};

/// What the client is to write, and what the server says then; `<close>` and `<timeout>` are events.
type Row<'a> = (&'a str, &'a str);

const GREET: Row = ("", "220 mx ESMTP\r\n");
const EHLO: &str = "EHLO me.example\r\n";
const PIPELINING: Row = (EHLO, "250-mx\r\n250-PIPELINING\r\n250 SIZE 1000\r\n");
const PLAIN: Row = (EHLO, "250 mx\r\n");

fn session() -> ClientSession {
    ClientSession::new("me.example", Timeouts::default())
}

fn message(recipients: &[&str], content: &'static [u8]) -> Transaction {
    let recipient = |path: &&str| Recipient { path: (*path).into(), ..Recipient::default() };
    Transaction {
        mail_from: "me@a.example".into(),
        recipients: recipients.iter().map(recipient).collect(),
        content: Bytes::from_static(content),
        eight_bit: false,
        smtputf8: false,
        require_tls: false,
        envid: None,
        ret: None,
    }
}

/// Plays the rows; gives the step at which the session does not read or write.
fn play(session: &mut ClientSession, rows: &[Row], size: usize) -> ClientStep {
    let (mut rows, mut written) = (rows.iter(), String::new());
    loop {
        match session.step() {
            ClientStep::Write(slices) => {
                slices.iter().for_each(|slice| written += &String::from_utf8_lossy(slice));
            }
            ClientStep::Read { .. } => {
                let (expected, answer) = rows.next().expect("the client waits although the script is over");
                assert_eq!(written, *expected);
                written.clear();
                match *answer {
                    "<close>" => session.peer_closed(),
                    "<timeout>" => session.timed_out(),
                    answer => answer.as_bytes().chunks(size).for_each(|chunk| session.received(chunk)),
                }
            }
            step => {
                assert_eq!(written, "", "nothing is said that no answer is awaited to");
                assert_eq!(rows.next(), None, "the rest of the script was not played: {step:?}");
                return step;
            }
        }
    }
}

fn short(result: &RecipientResult) -> String {
    match result {
        RecipientResult::Accepted(reply) => format!("accepted {reply}"),
        RecipientResult::Refused { reply, at } => format!("refused {reply} at {at}"),
        RecipientResult::TooMany { reply: Some(reply) } => format!("too many {reply}"),
        RecipientResult::TooMany { reply: None } => "too many".to_owned(),
        RecipientResult::Failed(failure) => format!("failed: {failure}"),
    }
}

/// Brings a session to its end of a transaction, whole and octet by octet.
fn check(start: &[Row], transaction: &Transaction, rows: &[Row], expected: &[&str], then: &str) {
    for size in [usize::MAX, 1] {
        let mut session = session();
        assert!(matches!(play(&mut session, start, size), ClientStep::Ready));
        session.begin(transaction.clone());
        let ClientStep::Finished(result) = play(&mut session, rows, size) else { panic!("not finished") };
        let shown: Vec<String> = result.recipients.iter().map(short).collect();
        assert_eq!(shown, expected, "{rows:?}");
        let next = match session.step() {
            ClientStep::Ready => "ready".to_owned(),
            ClientStep::Closed(failure) => format!("closed: {}", failure.expect("a reason")),
            step => panic!("{step:?}"),
        };
        assert_eq!(next, then, "{rows:?}");
    }
}

#[test]
fn every_mixture_of_answers_to_a_pipelined_group_is_understood() {
    let group =
        "MAIL FROM:<me@a.example> SIZE=5\r\nRCPT TO:<x@b.example>\r\nRCPT TO:<y@b.example>\r\nDATA\r\n";
    let refused = "refused 550 5.1.1 no at RCPT";
    let table: &[(&[Row], [&str; 2], &str)] = &[
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n"), ("..\r\n\r\n.\r\n", "250 2.0.0 kept\r\n")],
            ["accepted 250 2.0.0 kept", "accepted 250 2.0.0 kept"],
            "ready",
        ),
        (
            &[(group, "250 a\r\n550 5.1.1 no\r\n250 c\r\n354 go\r\n"), ("..\r\n\r\n.\r\n", "250 kept\r\n")],
            [refused, "accepted 250 kept"],
            "ready",
        ),
        (&[(group, "250 a\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n554 none\r\n")], [refused, refused], "ready"),
        (
            &[(group, "250 a\r\n550 5.1.1 no\r\n550 5.1.1 no\r\n354 go\r\n"), (".\r\n", "250 empty\r\n")],
            [refused, refused],
            "ready",
        ),
        (
            &[(group, "451 later\r\n503 x\r\n503 x\r\n503 x\r\n")],
            ["refused 451 later at MAIL", "refused 451 later at MAIL"],
            "ready",
        ),
        (
            &[(group, "451 later\r\n250 x\r\n503 x\r\n354 x\r\n"), (".\r\n", "554 x\r\n")],
            ["refused 451 later at MAIL", "refused 451 later at MAIL"],
            "ready",
        ),
        (
            &[(group, "250 a\r\n250 b\r\n450 c\r\n452 full\r\n")],
            ["refused 452 full at DATA", "refused 450 c at RCPT"],
            "ready",
        ),
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n"), ("..\r\n\r\n.\r\n", "554 5.7.1 spam\r\n")],
            ["refused 554 5.7.1 spam at end of data", "refused 554 5.7.1 spam at end of data"],
            "ready",
        ),
        (
            &[(group, "250 a\r\n550 5.1.1 no\r\n421 4.3.2 down\r\n")],
            [refused, "refused 421 4.3.2 down at RCPT"],
            "closed: refused at RCPT: 421 4.3.2 down",
        ),
        (
            &[(group, "550 you\r\n421 bye\r\n")],
            ["refused 550 you at MAIL", "refused 550 you at MAIL"],
            "closed: refused at RCPT: 421 bye",
        ),
        (
            &[(group, "550 you\r\n"), ("", "<close>")],
            ["refused 550 you at MAIL", "refused 550 you at MAIL"],
            "closed: connection closed at RCPT",
        ),
        (
            &[(group, "250 a\r\n550 5.1.1 no\r\n"), ("", "<timeout>")],
            [refused, "failed: timeout at RCPT"],
            "closed: timeout at RCPT",
        ),
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n"), ("..\r\n\r\n.\r\n", "<close>")],
            ["failed: connection closed at end of data", "failed: connection closed at end of data"],
            "closed: connection closed at end of data",
        ),
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n250 what\r\n")],
            [
                "failed: an answer 250 that does not fit the command at DATA",
                "failed: an answer 250 that does not fit the command at DATA",
            ],
            "closed: an answer 250 that does not fit the command at DATA",
        ),
        (
            &[(group, "250 a\r\nnonsense\r\n")],
            ["failed: a line that is no SMTP reply at RCPT", "failed: a line that is no SMTP reply at RCPT"],
            "closed: a line that is no SMTP reply at RCPT",
        ),
    ];
    for (rows, expected, then) in table {
        check(
            &[GREET, PIPELINING],
            &message(&["x@b.example", "y@b.example"], b".\r\n\r\n"),
            rows,
            expected,
            then,
        );
    }
}

#[test]
fn without_pipelining_every_command_waits_for_its_answer() {
    const MAIL: &str = "MAIL FROM:<me@a.example>\r\n";
    let (x, y) = ("RCPT TO:<x@b.example>\r\n", "RCPT TO:<y@b.example>\r\n");
    let table: &[(&[Row], [&str; 2], &str)] = &[
        (
            &[
                (MAIL, "250 a\r\n"),
                (x, "251 b\r\n"),
                (y, "550 c\r\n"),
                ("DATA\r\n", "354 d\r\n"),
                ("a\r\n.\r\n", "250 e\r\n"),
            ],
            ["accepted 250 e", "refused 550 c at RCPT"],
            "ready",
        ),
        (&[(MAIL, "550 a\r\n")], ["refused 550 a at MAIL", "refused 550 a at MAIL"], "ready"),
        (
            &[(MAIL, "250 a\r\n"), (x, "550 b\r\n"), (y, "450 c\r\n")],
            ["refused 550 b at RCPT", "refused 450 c at RCPT"],
            "ready",
        ),
        (
            &[(MAIL, "250 a\r\n"), (x, "250 b\r\n"), (y, "450 c\r\n"), ("DATA\r\n", "<close>")],
            ["failed: connection closed at DATA", "refused 450 c at RCPT"],
            "closed: connection closed at DATA",
        ),
    ];
    for (rows, expected, then) in table {
        check(&[GREET, PLAIN], &message(&["x@b.example", "y@b.example"], b"a"), rows, expected, then);
    }
}

#[test]
fn after_a_failed_transaction_rset_comes_first() {
    let transaction = message(&["x@b.example"], b"a\r\n");
    let mut session = session();
    play(&mut session, &[GREET, PIPELINING], 7);
    let group = "MAIL FROM:<me@a.example> SIZE=3\r\nRCPT TO:<x@b.example>\r\nDATA\r\n";
    session.begin(transaction.clone());
    play(&mut session, &[(group, "250 a\r\n550 b\r\n554 c\r\n")], 7);
    session.begin(transaction.clone());
    let again = format!("RSET\r\n{group}");
    play(&mut session, &[(&again, "250 r\r\n250 a\r\n250 b\r\n354 c\r\n"), ("a\r\n.\r\n", "250 d\r\n")], 7);
    session.begin(transaction);
    play(&mut session, &[(group, "250 a\r\n250 b\r\n354 c\r\n"), ("a\r\n.\r\n", "250 d\r\n")], 7);
    assert_eq!(session.transactions(), 3);
    session.quit();
    assert!(matches!(play(&mut session, &[("QUIT\r\n", "<timeout>")], 7), ClientStep::Closed(None)));
}

#[test]
fn without_pipelining_rset_is_waited_for() {
    let transaction = message(&["x@b.example"], b"a\r\n");
    let mut session = session();
    play(&mut session, &[GREET, PLAIN], 7);
    session.begin(transaction.clone());
    play(&mut session, &[("MAIL FROM:<me@a.example>\r\n", "450 a\r\n")], 7);
    session.begin(transaction);
    let rows = [("RSET\r\n", "250 r\r\n"), ("MAIL FROM:<me@a.example>\r\n", "421 b\r\n")];
    let ClientStep::Finished(result) = play(&mut session, &rows, 7) else { panic!("not finished") };
    assert_eq!(short(&result.recipients[0]), "refused 421 b at MAIL");
}

#[test]
fn a_session_opens_or_says_why_not() {
    let helo: Row = ("HELO me.example\r\n", "250 mx\r\n");
    let table: &[(&[Row], &str)] = &[
        (&[GREET, PLAIN], "Ready"),
        (&[("", "220-a\r\n220 b\r\n"), PLAIN], "Ready"),
        (&[GREET, (EHLO, "502 what\r\n"), helo], "Ready"),
        (&[GREET, (EHLO, "502 what\r\n"), ("HELO me.example\r\n", "550 no\r\n")], "refused at EHLO: 550 no"),
        (&[GREET, (EHLO, "451 later\r\n")], "refused at EHLO: 451 later"),
        (&[GREET, (EHLO, "421 bye\r\n")], "refused at EHLO: 421 bye"),
        (&[GREET, (EHLO, "<close>")], "connection closed at EHLO"),
        (&[GREET, (EHLO, "<timeout>")], "timeout at EHLO"),
        (&[GREET, (EHLO, "502 what\r\n"), ("HELO me.example\r\n", "<close>")], "connection closed at EHLO"),
        (&[GREET, (EHLO, "354 odd\r\n")], "an answer 354 that does not fit the command at EHLO"),
        (&[("", "554 5.7.1 listed\r\n")], "refused at greeting: 554 5.7.1 listed"),
        (&[("", "421 busy\r\n")], "refused at greeting: 421 busy"),
        (&[("", "<close>")], "connection closed at greeting"),
        (&[("", "<timeout>")], "timeout at greeting"),
        (&[("", "SSH-2.0-x\r\n")], "a line that is no SMTP reply at greeting"),
    ];
    for (rows, expected) in table {
        for size in [usize::MAX, 1] {
            let shown = match play(&mut session(), rows, size) {
                ClientStep::Closed(Some(failure)) => failure.to_string(),
                step => format!("{step:?}"),
            };
            assert_eq!(shown, *expected, "{rows:?}");
        }
    }
}

#[test]
fn an_idle_session_notices_what_ends_it() {
    let ready = || {
        let mut session = session();
        play(&mut session, &[GREET, PLAIN], 9);
        session
    };
    let mut quiet = ready();
    quiet.received(b"421 4.4.2 idle too long\r\n");
    assert!(matches!(quiet.step(), ClientStep::Closed(Some(Failure::Refused { at: Phase::Idle, .. }))));
    quiet.begin(message(&["x@b.example"], b""));
    let ClientStep::Finished(result) = quiet.step() else { panic!("not finished") };
    assert_eq!(short(&result.recipients[0]), "failed: connection closed at idle");
    assert!(matches!(quiet.step(), ClientStep::Closed(_)));

    let mut talkative = ready();
    talkative.received(b"250 surprise\r\n");
    assert!(matches!(talkative.step(), ClientStep::Closed(Some(Failure::Protocol { .. }))));
}

#[test]
fn tls_starts_with_a_clean_slate() {
    let start = [GREET, (EHLO, "250-mx\r\n250-STARTTLS\r\n250 DSN\r\n")];
    let mut session = session();
    play(&mut session, &start, 5);
    session.starttls();
    assert!(matches!(play(&mut session, &[("STARTTLS\r\n", "220 go\r\n")], 5), ClientStep::StartTls));
    session.tls_started();
    assert!(matches!(play(&mut session, &[PIPELINING], 5), ClientStep::Ready));
    assert!(session.is_secure() && session.extensions().pipelining && !session.extensions().dsn);
}

#[test]
fn plain_text_behind_the_go_ahead_for_tls_is_an_attack() {
    for size in [usize::MAX, 1] {
        let mut session = session();
        play(&mut session, &[GREET, (EHLO, "250-mx\r\n250 STARTTLS\r\n")], size);
        session.starttls();
        let step = play(&mut session, &[("STARTTLS\r\n", "220 go\r\n250 injected\r\n")], size);
        assert!(matches!(step, ClientStep::Closed(Some(Failure::Protocol { at: Phase::StartTls, .. }))));
    }
    let mut session = session();
    play(&mut session, &[GREET, (EHLO, "250-mx\r\n250 STARTTLS\r\n")], 9);
    session.starttls();
    let step = play(&mut session, &[("STARTTLS\r\n", "454 not now\r\n")], 9);
    assert!(matches!(step, ClientStep::Closed(Some(Failure::Refused { at: Phase::StartTls, .. }))));
}

#[test]
fn what_the_server_cannot_take_is_not_offered_to_it() {
    let base = || message(&["x@b.example"], b"a\r\n");
    let long: &'static [u8] = vec![b'a'; 999].leak();
    let table: Vec<(Transaction, &str)> = vec![
        (message(&["x@b.example"], long), "refused 552 5.3.4"),
        (Transaction { eight_bit: true, ..base() }, "failed: the message has 8-bit content"),
        (Transaction { smtputf8: true, ..base() }, "failed: the message needs SMTPUTF8"),
        (message(&["ü@b.example"], b""), "failed: the message needs SMTPUTF8"),
        (Transaction { require_tls: true, ..base() }, "failed: the message needs REQUIRETLS"),
        (message(&["x@b.example"], b"a\n.\nb\r\n"), "failed: the content has a bare CR"),
        (message(&["x@b.example"], b"a\rb\r\n"), "failed: the content has a bare CR"),
        (message(&["x@b.example>\r\nDATA"], b""), "failed: malformed address"),
        (Transaction { mail_from: "a@b.example> SIZE=1".into(), ..base() }, "failed: malformed address"),
    ];
    for (transaction, expected) in table {
        let mut session = session();
        play(&mut session, &[GREET, PIPELINING], 9);
        session.begin(transaction);
        let ClientStep::Finished(result) = play(&mut session, &[], 9) else { panic!("not finished") };
        let shown = short(&result.recipients[0]);
        assert!(shown.starts_with(expected), "{shown}");
        assert!(matches!(session.step(), ClientStep::Ready));
        assert_eq!(session.transactions(), 0);
    }
}

#[test]
fn a_malformed_recipient_fails_alone() {
    let group = "MAIL FROM:<me@a.example> SIZE=3\r\nRCPT TO:<y@b.example>\r\nDATA\r\n";
    let rows = [(group, "250 a\r\n250 b\r\n354 c\r\n"), ("a\r\n.\r\n", "250 d\r\n")];
    let expected = ["failed: malformed address", "accepted 250 d"];
    check(&[GREET, PIPELINING], &message(&["x", "y@b.example"], b"a\r\n"), &rows, &expected, "ready");
}

#[test]
fn parameters_are_said_where_they_are_offered() {
    let mut transaction = message(&["ü@b.example"], "ü".as_bytes());
    transaction.eight_bit = true;
    transaction.envid = Some("a b".into());
    transaction.ret = Some(Ret::Headers);
    transaction.recipients[0].notify = Some(Notify::Never);
    transaction.recipients[0].orcpt =
        Some(OriginalRecipient { address_type: "utf-8".into(), address: "ü@b.example".into() });
    let offers = (EHLO, "250-mx\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n");
    let rows = [
        ("MAIL FROM:<me@a.example> SIZE=4 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b\r\n", "250 a\r\n"),
        ("RCPT TO:<ü@b.example> NOTIFY=NEVER ORCPT=utf-8;\\x{FC}@b.example\r\n", "250 b\r\n"),
        ("DATA\r\n", "354 c\r\n"),
        ("ü\r\n.\r\n", "250 d\r\n"),
    ];
    check(&[GREET, offers], &transaction, &rows, &["accepted 250 d"], "ready");
    transaction.envid = Some("x".repeat(101));
    transaction.recipients[0].notify = Some(Notify::On { success: false, failure: true, delay: true });
    transaction.recipients[0].orcpt =
        Some(OriginalRecipient { address_type: "rfc822".into(), address: "a+b=c@b.example".into() });
    let rows = [
        ("MAIL FROM:<me@a.example> SIZE=4 BODY=8BITMIME SMTPUTF8 RET=HDRS\r\n", "250 a\r\n"),
        ("RCPT TO:<ü@b.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb+3Dc@b.example\r\n", "450 b\r\n"),
    ];
    check(&[GREET, offers], &transaction, &rows, &["refused 450 b at RCPT"], "ready");
    let fewer = (EHLO, "250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
    let rows = [
        ("MAIL FROM:<me@a.example> BODY=8BITMIME SMTPUTF8\r\n", "250 a\r\n"),
        ("RCPT TO:<ü@b.example>\r\n", "450 b\r\n"),
    ];
    check(&[GREET, fewer], &transaction, &rows, &["refused 450 b at RCPT"], "ready");
}

#[test]
fn an_answer_in_the_middle_of_the_content_ends_the_session() {
    let content = Bytes::from(vec![b'x'; 3 * WRITE_OCTETS]);
    let table = [
        ("452 4.3.1 full\r\n", "refused 452 4.3.1 full at content"),
        ("250 already\r\n", "failed: an answer 250 that does not fit the command at content"),
        ("<close>", "failed: connection closed at content"),
    ];
    for (event, expected) in table {
        let mut session = session();
        play(&mut session, &[GREET, (EHLO, "250-mx\r\n250 PIPELINING\r\n")], 9);
        session.begin(Transaction { content: content.clone(), ..message(&["x@b.example"], b"") });
        assert!(matches!(session.step(), ClientStep::Write(_)));
        session.received(b"250 a\r\n250 b\r\n354 c\r\n");
        let ClientStep::Write(block) = session.step() else { panic!("no content") };
        assert!(block.iter().map(Bytes::len).sum::<usize>() < 2 * WRITE_OCTETS);
        if event == "<close>" {
            session.peer_closed()
        } else {
            session.received(event.as_bytes())
        }
        let ClientStep::Finished(result) = session.step() else { panic!("not finished") };
        assert_eq!(short(&result.recipients[0]), expected);
        assert!(matches!(session.step(), ClientStep::Closed(Some(_))));
    }
}

/// Lets a client and a server talk in pieces of `size` octets; gives what the server kept.
fn deliver(transactions: &[Transaction], extensions: Extensions, size: usize) -> Vec<(Vec<String>, Bytes)> {
    let mut client = session();
    let mut server = ServerSession::new(ServerOptions {
        hostname: "mx.example".into(),
        max_message_size: 1_000_000,
        max_content_line: 1_000_000,
        max_recipients: 3,
        max_errors: 3,
        max_idle_commands: 100,
        auth: None,
        extensions,
        timeouts: ServerTimeouts::default(),
    });
    let (mut kept, mut begun, mut results) = (Vec::new(), transactions.iter(), 0);
    let mut inbound: VecDeque<Bytes> = VecDeque::new();
    loop {
        match server.step() {
            ServerStep::Write(bytes) => bytes.chunks(size).for_each(|chunk| client.received(chunk)),
            ServerStep::Mail(_) => server.answer(Reply::with_enhanced(250, 1, 0, "Sender ok")),
            ServerStep::Rcpt(rcpt) if rcpt.path.starts_with("no") => {
                server.answer(Reply::with_enhanced(550, 1, 1, "No such user"));
            }
            ServerStep::Rcpt(_) => server.answer(Reply::with_enhanced(250, 1, 5, "Recipient ok")),
            ServerStep::Message(message) => {
                let envelope = server.envelope().expect("an envelope");
                kept.push((envelope.recipients.iter().map(|r| r.path.clone()).collect(), message.content));
                server.answer(Reply::with_enhanced(250, 0, 0, "Kept"));
            }
            ServerStep::Read { .. } if !inbound.is_empty() => {
                let bytes = inbound.pop_front().expect("just looked");
                server.received(&bytes);
            }
            ServerStep::Close => client.peer_closed(),
            _ => {}
        }
        match client.step() {
            ClientStep::Write(slices) => {
                let wire: Vec<u8> = slices.into_iter().flatten().collect();
                inbound.extend(wire.chunks(size).map(Bytes::copy_from_slice));
            }
            ClientStep::Ready => match begun.next() {
                Some(transaction) => client.begin(transaction.clone()),
                None => client.quit(),
            },
            ClientStep::Finished(result) => {
                for (result, recipient) in result.recipients.iter().zip(&transactions[results].recipients) {
                    let expected = if recipient.path.starts_with("no") {
                        "refused 550 5.1.1"
                    } else {
                        "accepted 250 2.0.0"
                    };
                    assert!(short(result).starts_with(expected), "{}", short(result));
                }
                results += 1;
            }
            ClientStep::Closed(failure) => {
                assert_eq!(failure, None);
                assert_eq!(results, transactions.len());
                return kept;
            }
            ClientStep::Read { .. } => {}
            ClientStep::StartTls => panic!("nobody asked for TLS"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_client_and_a_server_understand_each_other(
        contents in proptest::collection::vec("(\\.{0,3}(ab|ü|x{1100}){0,3}\r\n){0,8}(end)?", 0..4),
        pipelining: bool, size in 1usize..600,
    ) {
        let extensions = Extensions { pipelining, eight_bit_mime: true, ..Extensions::default() };
        let people: [&[&str]; 3] = [&["a@b.example", "no@b.example"], &["no@b.example"], &["x.y@b.example"]];
        let transactions: Vec<Transaction> = contents.iter().zip(people.iter().cycle()).map(|(content, people)| {
            Transaction { content: content.clone().into(), eight_bit: true, ..message(people, b"") }
        }).collect();
        let expected: Vec<(Vec<String>, Bytes)> = transactions.iter().filter_map(|transaction| {
            let mut content = transaction.content.to_vec();
            if !content.is_empty() && !content.ends_with(b"\r\n") {
                content.extend_from_slice(b"\r\n");
            }
            let people: Vec<String> = transaction.recipients.iter()
                .map(|r| r.path.clone()).filter(|path| !path.starts_with("no")).collect();
            (!people.is_empty()).then(|| (people, content.into()))
        }).collect();
        prop_assert_eq!(deliver(&transactions, extensions, size), expected);
    }
}

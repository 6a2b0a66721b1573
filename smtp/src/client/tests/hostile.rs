use super::*;
use crate::sasl::Login;

#[test]
fn an_answer_before_its_command_is_not_taken_for_one() {
    let unsolicited = |at| format!("closed: an answer that nothing asked for at {at}");
    let shown = |session: &mut ClientSession| loop {
        match session.step() {
            ClientStep::Closed(failure) => return format!("closed: {}", failure.expect("a reason")),
            ClientStep::Finished(_) | ClientStep::Write(_) => {}
            step => return format!("{step:?}"),
        }
    };
    let mut eager = session();
    eager.step();
    eager.received(b"220 mx\r\n250 mx\r\n");
    assert_eq!(shown(&mut eager), unsolicited("EHLO"));

    let mut eager = session();
    play(&mut eager, &[GREET, PLAIN], 9);
    eager.begin(message(&["x@b.example"], b"a\r\n"));
    eager.step();
    eager.received(b"250 a\r\n250 b\r\n");
    assert_eq!(shown(&mut eager), unsolicited("RCPT"));

    let mut eager = session();
    play(&mut eager, &[GREET, PIPELINING], 9);
    eager.begin(message(&["x@b.example"], b"a\r\n"));
    eager.received(b"250 a\r\n250 b\r\n354 c\r\n");
    assert_eq!(shown(&mut eager), unsolicited("MAIL"));
}

#[test]
fn acceptance_before_the_content_is_not_acceptance() {
    let group = "MAIL FROM:<me@a.example> SIZE=3\r\nRCPT TO:<x@b.example>\r\nDATA\r\n";
    let unfit = "an answer 250 that does not fit the command at content";
    check(
        &[GREET, PIPELINING],
        &message(&["x@b.example"], b"a\r\n"),
        &[(group, "250 a\r\n250 b\r\n354 c\r\n250 kept\r\n")],
        &[&format!("failed: {unfit}")],
        &format!("closed: {unfit}"),
    );
}

/// What a server can say in place of an answer, and what is made of it.
const NOISE: [(&str, &str); 8] = [
    ("<close>", "connection closed"),
    ("<timeout>", "timeout"),
    ("\u{0}\u{1}\u{fffd}\r\n", "a line that is no SMTP reply"),
    ("250-a\r\n251 b\r\n", "a reply with more than one code"),
    ("250-a\r\n\r\n", "a line that is no SMTP reply"),
    ("199 x\r\n", "a line that is no SMTP reply"),
    ("600 x\r\n", "a line that is no SMTP reply"),
    ("HTTP/1.1 400 Bad Request\r\n", "a line that is no SMTP reply"),
];

#[test]
fn noise_at_any_point_ends_the_session_and_accepts_nothing() {
    const MAIL: Row = ("MAIL FROM:<me@a.example>\r\n", "250 a\r\n");
    let rcpt = ("RCPT TO:<x@b.example>\r\n", "250 b\r\n");
    let data = ("DATA\r\n", "354 c\r\n");
    let end = ("a\r\n.\r\n", "250 d\r\n");
    let script = [GREET, PLAIN, MAIL, rcpt, data, end];
    let places = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "end of data"];
    let endless = "250-x\r\n".repeat(101);
    let oversized = format!("250 {}\r\n", "x".repeat(65 * 1024));
    let without_end = "x".repeat(65 * 1024);
    let long = [&endless, &oversized, &without_end].map(|noise| (noise.as_str(), "a reply without end"));
    for (place, at) in places.iter().enumerate() {
        for (noise, expected) in NOISE.into_iter().chain(long) {
            let mut rows = script[..place].to_vec();
            rows.push((script[place].0, noise));
            let mut session = session();
            let start = rows.len().min(2);
            let step = play(&mut session, &rows[..start], 1000);
            let failure = if place < 2 {
                let ClientStep::Closed(Some(failure)) = step else { panic!("{step:?}") };
                failure
            } else {
                session.begin(message(&["x@b.example"], b"a\r\n"));
                let step = play(&mut session, &rows[start..], 1000);
                let ClientStep::Finished(result) = step else { panic!("{step:?}") };
                let RecipientResult::Failed(failure) = &result.recipients[0] else { panic!("{result:?}") };
                assert!(matches!(session.step(), ClientStep::Closed(Some(_))));
                failure.clone()
            };
            assert_eq!(failure.to_string(), format!("{expected} at {at}"), "{noise:.60?}");
            assert_eq!(failure.enhanced().map(|code| code.class()), Some(4));
        }
    }
}

#[test]
fn a_session_that_is_over_hears_nothing_more() {
    let mut session = session();
    session.peer_closed();
    session.received(b"220 mx\r\n");
    session.timed_out();
    session.authenticate(&Login::new("a", "b").unwrap());
    session.starttls();
    session.quit();
    assert!(matches!(session.step(), ClientStep::Closed(Some(Failure::Closed { at: Phase::Greeting }))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_server_says_the_session_ends_and_every_recipient_has_one_result(
        said in proptest::collection::vec(
            "(220|235|250|334|354|421|450|452|500|550|552|999)[ -][a-zA-Z=]{0,4}\r?\n|[\\x00-\\xff]{0,4}", 0..40),
        offers in proptest::sample::subsequence(
            vec!["PIPELINING", "CHUNKING", "STARTTLS", "DSN", "AUTH PLAIN LOGIN", "LIMITS RCPTMAX=1"], 0..=6),
        large: bool, together: bool, login: bool,
    ) {
        let mut session = session();
        session.tls_started();
        let offers: String = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
        play(&mut session, &[GREET, (EHLO, &format!("250-mx\r\n{offers}250 X\r\n"))], 4);
        let content = if large { Bytes::from(vec![b'x'; 3 * WRITE_OCTETS]) } else { Bytes::from_static(b"a\r\n") };
        let transaction = Transaction { content, ..message(&["x@b.example", "y@b.example"], b"") };
        if login {
            session.authenticate(&Login::new("a", "b").unwrap());
        }
        let mut said = said.iter();
        let (mut begun, mut finished, mut steps) = (0, 0, 0);
        loop {
            steps += 1;
            prop_assert!(steps < 1_000, "the session does not end");
            match session.step() {
                ClientStep::Write(_) if together => if let Some(bytes) = said.next() {
                    session.received(bytes.as_bytes());
                },
                ClientStep::Write(_) => {}
                ClientStep::Read { .. } => match said.next() {
                    Some(bytes) => session.received(bytes.as_bytes()),
                    None => session.peer_closed(),
                },
                ClientStep::Finished(result) => {
                    prop_assert_eq!(result.recipients.len(), 2);
                    finished += 1;
                    prop_assert_eq!(finished, begun);
                }
                ClientStep::Ready if begun < 3 => {
                    begun += 1;
                    session.begin(transaction.clone());
                }
                ClientStep::Ready => session.peer_closed(),
                ClientStep::StartTls => prop_assert!(false, "nobody asked for TLS"),
                ClientStep::Closed(_) => break,
            }
        }
        prop_assert_eq!(finished, begun);
    }
}

use super::*;

#[test]
fn no_more_recipients_are_said_than_the_server_takes() {
    let offers = (EHLO, "250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n");
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<v@b.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n";
    let people = ["v@b.example", "malformed", "x@b.example", "y@b.example", "z@b.example"];
    check(
        &[GREET, offers],
        &message(&people, b"a\r\n"),
        &[(group, "250 a\r\n550 b\r\n250 c\r\n354 d\r\n"), ("a\r\n.\r\n", "250 e\r\n")],
        &["refused 550 b at RCPT", "failed: malformed address", "accepted 250 e", "too many", "too many"],
        "ready",
    );
    check(
        &[GREET, offers],
        &message(&people, b"a\r\n"),
        &[(group, "250 a\r\n"), ("", "<close>")],
        &[
            "failed: connection closed at RCPT",
            "failed: malformed address",
            "failed: connection closed at RCPT",
            "too many",
            "too many",
        ],
        "closed: connection closed at RCPT",
    );
}

#[test]
fn one_too_many_is_told_apart_from_a_refused_recipient() {
    const MAIL: Row = ("MAIL FROM:<me@a.example>\r\n", "250 a\r\n");
    let (x, y) = ("RCPT TO:<x@b.example>\r\n", "RCPT TO:<y@b.example>\r\n");
    for (answer, expected) in [
        ("452 4.5.3 enough\r\n", "too many 452 4.5.3 enough"),
        ("452 enough\r\n", "too many 452 enough"),
        ("552 enough\r\n", "too many 552 enough"),
        ("552 5.2.2 full\r\n", "too many 552 5.2.2 full"),
        ("452 4.2.2 full\r\n", "refused 452 4.2.2 full at RCPT"),
        ("451 4.5.3 x\r\n", "refused 451 4.5.3 x at RCPT"),
        ("550 5.1.1 no\r\n", "refused 550 5.1.1 no at RCPT"),
    ] {
        let rows =
            [MAIL, (x, "250 b\r\n"), (y, answer), ("DATA\r\n", "354 d\r\n"), ("a\r\n.\r\n", "250 e\r\n")];
        check(
            &[GREET, PLAIN],
            &message(&["x@b.example", "y@b.example"], b"a\r\n"),
            &rows,
            &["accepted 250 e", expected],
            "ready",
        );
        let alone = format!("refused {} at RCPT", answer.trim_end());
        let rows = [MAIL, (x, answer)];
        check(&[GREET, PLAIN], &message(&["x@b.example"], b"a\r\n"), &rows, &[&alone], "ready");
    }
}

#[test]
fn a_session_says_when_the_server_takes_no_more_messages() {
    for (limits, expected) in [("X", [true, true, true]), ("LIMITS MAILMAX=2", [true, true, false])] {
        let mut session = session();
        assert!(session.may_begin());
        play(&mut session, &[GREET, (EHLO, &format!("250-mx\r\n250 {limits}\r\n"))], 9);
        for expected in expected {
            assert_eq!(session.may_begin(), expected, "{limits}");
            session.begin(message(&["x@b.example"], b"a\r\n"));
            let rset = if session.transactions() > 1 { "RSET\r\n" } else { "" };
            let mail = "MAIL FROM:<me@a.example>\r\n";
            let rows = [(rset, "250 r\r\n"), (mail, "451 later\r\n")];
            play(&mut session, &rows[usize::from(rset.is_empty())..], 9);
        }
        session.peer_closed();
        assert!(!session.may_begin());
    }
}

#[test]
fn the_server_s_name_is_known() {
    let helo = ("HELO me.example\r\n", "250 old.example\r\n");
    let table: &[(&[Row], Option<&str>)] = &[
        (&[GREET], None),
        (&[GREET, (EHLO, "250-MX.example at your service\r\n250 SIZE\r\n")], Some("MX.example")),
        (&[GREET, (EHLO, "250 \r\n")], None),
        (&[GREET, (EHLO, "502 what\r\n"), helo], Some("old.example")),
    ];
    for (rows, expected) in table {
        let mut session = session();
        if rows.len() > 1 {
            play(&mut session, rows, 9);
        }
        assert_eq!(session.server_name(), *expected, "{rows:?}");
    }
}

use super::*;

const BOTH: Row = (EHLO, "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
const CHUNKING: Row = (EHLO, "250-mx\r\n250 CHUNKING\r\n");
const PEOPLE: [&str; 2] = ["x@b.example", "y@b.example"];

#[test]
fn a_small_content_goes_in_one_group_with_its_envelope() {
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<x@b.example>\r\nRCPT TO:<y@b.example>\r\n\
                 BDAT 7 LAST\r\n.\r\n.a\r\n";
    let refused = "refused 550 no at RCPT";
    let misfit = "failed: an answer 354 that does not fit the command at end of data";
    let table: &[(&[Row], [&str; 2], &str)] = &[
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n250 2.0.0 kept\r\n")],
            ["accepted 250 2.0.0 kept", "accepted 250 2.0.0 kept"],
            "ready",
        ),
        (&[(group, "250 a\r\n550 no\r\n250 c\r\n250 kept\r\n")], [refused, "accepted 250 kept"], "ready"),
        (&[(group, "250 a\r\n550 no\r\n550 no\r\n503 none\r\n")], [refused, refused], "ready"),
        (&[(group, "250 a\r\n550 no\r\n550 no\r\n250 odd\r\n")], [refused, refused], "ready"),
        (
            &[(group, "451 later\r\n503 x\r\n250 x\r\n250 x\r\n")],
            ["refused 451 later at MAIL", "refused 451 later at MAIL"],
            "ready",
        ),
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n554 5.7.1 spam\r\n")],
            ["refused 554 5.7.1 spam at end of data", "refused 554 5.7.1 spam at end of data"],
            "ready",
        ),
        (
            &[(group, "250 a\r\n550 no\r\n250 c\r\n421 down\r\n")],
            [refused, "refused 421 down at end of data"],
            "closed: refused at end of data: 421 down",
        ),
        (
            &[(group, "250 a\r\n421 down\r\n")],
            ["refused 421 down at RCPT", "refused 421 down at RCPT"],
            "closed: refused at RCPT: 421 down",
        ),
        (
            &[(group, "250 a\r\n550 no\r\n250 c\r\n"), ("", "<close>")],
            [refused, "failed: connection closed at end of data"],
            "closed: connection closed at end of data",
        ),
        (
            &[(group, "250 a\r\n550 no\r\n250 c\r\n"), ("", "<timeout>")],
            [refused, "failed: timeout at end of data"],
            "closed: timeout at end of data",
        ),
        (
            &[(group, ""), ("", "<close>")],
            ["failed: connection closed at MAIL", "failed: connection closed at MAIL"],
            "closed: connection closed at MAIL",
        ),
        (
            &[(group, "250 a\r\n"), ("", "<close>")],
            ["failed: connection closed at end of data", "failed: connection closed at end of data"],
            "closed: connection closed at end of data",
        ),
        (
            &[(group, ""), ("", "<timeout>")],
            ["failed: timeout at end of data", "failed: timeout at end of data"],
            "closed: timeout at end of data",
        ),
        (
            &[(group, "250 a\r\nnonsense\r\n")],
            [
                "failed: a line that is no SMTP reply at end of data",
                "failed: a line that is no SMTP reply at end of data",
            ],
            "closed: a line that is no SMTP reply at end of data",
        ),
        (
            &[(group, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n")],
            [misfit, misfit],
            "closed: an answer 354 that does not fit the command at end of data",
        ),
    ];
    for (rows, expected, then) in table {
        check(&[GREET, BOTH], &message(&PEOPLE, b".\r\n.a"), rows, expected, then);
    }
}

#[test]
fn without_pipelining_the_chunk_waits_for_a_recipient() {
    const MAIL: &str = "MAIL FROM:<me@a.example>\r\n";
    let (x, y) = ("RCPT TO:<x@b.example>\r\n", "RCPT TO:<y@b.example>\r\n");
    let both = ["refused 550 b at RCPT", "refused 450 c at RCPT"];
    check(
        &[GREET, CHUNKING],
        &message(&PEOPLE, b".a\r\n"),
        &[(MAIL, "250 a\r\n"), (x, "550 b\r\n"), (y, "250 c\r\n"), ("BDAT 4 LAST\r\n.a\r\n", "250 d\r\n")],
        &["refused 550 b at RCPT", "accepted 250 d"],
        "ready",
    );
    let refused = [(MAIL, "250 a\r\n"), (x, "550 b\r\n"), (y, "450 c\r\n")];
    check(&[GREET, CHUNKING], &message(&PEOPLE, b"a\r\n"), &refused, &both, "ready");
}

#[test]
fn a_large_content_waits_for_a_recipient_even_with_pipelining() {
    let large = Bytes::from(vec![b'.'; content::PIPELINED_MAX + 1]);
    let transaction = Transaction { content: large, ..message(&PEOPLE, b"") };
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<x@b.example>\r\nRCPT TO:<y@b.example>\r\n";
    let chunk = format!("BDAT {} LAST\r\n{}\r\n", 16_387, ".".repeat(16_385));
    check(
        &[GREET, BOTH],
        &transaction,
        &[(group, "250 a\r\n550 b\r\n250 c\r\n"), (&chunk, "250 d\r\n")],
        &["refused 550 b at RCPT", "accepted 250 d"],
        "ready",
    );
    check(
        &[GREET, BOTH],
        &transaction,
        &[(group, "250 a\r\n550 b\r\n550 b\r\n")],
        &["refused 550 b at RCPT", "refused 550 b at RCPT"],
        "ready",
    );
    check(
        &[GREET, BOTH],
        &transaction,
        &[(group, "451 a\r\n503 b\r\n503 b\r\n")],
        &["refused 451 a at MAIL", "refused 451 a at MAIL"],
        "ready",
    );
}

#[test]
fn a_server_that_lied_about_bdat_is_left_and_gets_data_the_next_time() {
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<x@b.example>\r\nBDAT 3 LAST\r\na\r\n";
    for (reply, lied) in [
        ("500 what", true),
        ("502 5.5.1 what", true),
        ("555 5.5.4 what", true),
        ("500 5.6.0 content", false),
        ("503 5.5.1 order", false),
    ] {
        let rows = [(group, &*format!("250 a\r\n250 b\r\n{reply}\r\n"))];
        let failed = format!("failed: the server offers CHUNKING and refuses BDAT: {reply}");
        let closed = format!("closed: the server offers CHUNKING and refuses BDAT: {reply}");
        let refused = format!("refused {reply} at end of data");
        let (result, then) = if lied { (&failed, &*closed) } else { (&refused, "ready") };
        check(&[GREET, BOTH], &message(&["x@b.example"], b"a\r\n"), &rows, &[result], then);
    }
    let mut session = session().without_chunking();
    play(&mut session, &[GREET, BOTH], 9);
    session.begin(message(&["x@b.example"], b"a\r\n"));
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n";
    let rows = [(group, "250 a\r\n250 b\r\n354 c\r\n"), ("a\r\n.\r\n", "250 d\r\n")];
    let ClientStep::Finished(result) = play(&mut session, &rows, 9) else { panic!("not finished") };
    assert_eq!(short(&result.recipients[0]), "accepted 250 d");
}

#[test]
fn answers_to_content_that_a_liar_read_as_commands_do_not_answer_the_next_message() {
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<x@b.example>\r\nBDAT 3 LAST\r\na\r\n";
    let rows = [(group, "550 no\r\n503 x\r\n502 what\r\n")];
    let closed = "closed: the server offers CHUNKING and refuses BDAT: 502 what";
    check(&[GREET, BOTH], &message(&["x@b.example"], b"a\r\n"), &rows, &["refused 550 no at MAIL"], closed);
}

#[test]
fn a_server_that_has_the_content_is_given_the_time_for_it() {
    let mut session = session();
    play(&mut session, &[GREET, BOTH], 9);
    session.begin(message(&PEOPLE, b"a\r\n"));
    assert!(matches!(session.step(), ClientStep::Write(_)));
    let ClientStep::Read { timeout, waiting_for: Phase::Mail } = session.step() else {
        panic!("no answer awaited")
    };
    assert_eq!(timeout, Timeouts::default().end_of_data);
}

#[test]
fn a_chunk_shares_the_memory_of_the_content() {
    let content = Bytes::from(vec![b'.'; 3 * WRITE_OCTETS + 1]);
    let range = content.as_ptr_range();
    let mut session = session();
    play(&mut session, &[GREET, CHUNKING], 9);
    session.begin(Transaction { content, ..message(&["x@b.example"], b"") });
    for answer in [&b""[..], b"250 a\r\n", b"250 b\r\n"] {
        session.received(answer);
        let ClientStep::Write(slices) = session.step() else { panic!("nothing to write") };
        if answer != b"250 b\r\n" {
            continue;
        }
        assert_eq!(slices[0], format!("BDAT {} LAST\r\n", 3 * WRITE_OCTETS + 3));
        assert!(slices[1..].iter().all(|slice| range.contains(&slice.as_ptr())));
        assert!(slices.iter().map(Bytes::len).sum::<usize>() < 2 * WRITE_OCTETS);
    }
    session.received(b"552 5.3.4 too much\r\n");
    let ClientStep::Finished(result) = session.step() else { panic!("not finished") };
    assert_eq!(short(&result.recipients[0]), "refused 552 5.3.4 too much at content");
    assert!(matches!(session.step(), ClientStep::Closed(Some(_))));
}

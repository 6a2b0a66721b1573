mod auth;
mod chunking;
mod parameters;

use proptest::prelude::*;

use super::*;
use crate::extensions::Extensions;

const GREETING: &str = "220 mx.example ESMTP\r\n";

fn options() -> ServerOptions {
    ServerOptions {
        hostname: "mx.example".into(),
        max_message_size: 100,
        max_content_line: 1_000,
        max_recipients: 2,
        max_errors: 3,
        max_idle_commands: 10,
        auth: None,
        extensions: Extensions { pipelining: true, starttls: true, dsn: true, ..Extensions::default() },
        timeouts: ServerTimeouts::default(),
    }
}

/// Feeds `input` in pieces of `size` octets. The owner refuses `bad...` with 550, is silent about `silent...`, and
/// takes the rest. Gives all that was said, with what the owner heard of messages in brackets.
fn talk(session: &mut ServerSession, input: &[u8], size: usize) -> String {
    let (mut said, mut chunks) = (String::new(), input.chunks(size));
    let verdict = |session: &mut ServerSession, path: &str, text: &str| {
        if path.starts_with("silent") {
            session.keep_silent();
        } else if path.starts_with("bad") {
            session.answer(Reply::with_enhanced(550, 1, 1, "bad"));
        } else {
            session.answer(Reply::with_enhanced(250, 1, 0, text));
        }
    };
    loop {
        match session.step() {
            ServerStep::Write(bytes) => said += &String::from_utf8_lossy(&bytes),
            ServerStep::Auth(question) => said += &auth::decide(session, question),
            ServerStep::Mail(mail) => {
                assert!(
                    session.options.auth.is_none() || said.contains("[in "),
                    "MAIL without a login: {said}"
                );
                verdict(session, &mail.from, "from");
            }
            ServerStep::Rcpt(rcpt) => verdict(session, &rcpt.path, "to"),
            ServerStep::Message(message) => {
                let count = session.envelope().expect("an envelope").recipients.len();
                said += &format!("[{count} {}]", String::from_utf8_lossy(&message.content));
                session.answer(Reply::with_enhanced(250, 0, 0, "kept"));
            }
            ServerStep::Read { .. } | ServerStep::Silent { .. } => match chunks.next() {
                Some(chunk) => {
                    session.received(chunk);
                    let line = if session.options.auth.is_some() { MAX_RESPONSE } else { MAX_LINE };
                    assert!(session.lines.buffered() <= size.min(input.len()) + line);
                }
                None => return said,
            },
            ServerStep::StartTls => return said + "[handshake]",
            ServerStep::Close => return said + "[close]",
        }
    }
}

#[test]
fn a_script_of_commands_gets_its_answers_however_it_is_cut() {
    let long = format!("NOOP {}\r\nNOOP\r\n", "x".repeat(3_000));
    let flood = "NOOP\r\n".repeat(12);
    let endless = "x".repeat(MAX_LINE * 33);
    let big = format!(
        "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n{}\r\n.\r\nNOOP\r\n",
        "x".repeat(101)
    );
    let ehlo = "250-mx.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-DSN\r\n250 SIZE 100\r\n";
    let ok = "250 2.0.0 OK\r\n";
    let from = "250 2.1.0 from\r\n";
    let to = "250 2.1.0 to\r\n";
    let go = "354 Send the message, end with a dot on a line of its own\r\n";
    let kept = "250 2.0.0 kept\r\n";
    let many = "421 4.7.0 Too many errors\r\n[close]";
    let shrug = "500 5.5.1 Command not recognized\r\n";
    let table: Vec<(&str, String)> = vec![
        ("", String::new()),
        ("NOOP\r\nQUIT\r\nNOOP\r\n", format!("{ok}221 2.0.0 Bye\r\n[close]")),
        ("HELO c\r\nRSET\r\nHELP\r\n", format!("250 mx.example\r\n{ok}214 2.0.0 See RFC 5321\r\n")),
        ("VRFY a\r\n", "252 2.0.0 Cannot verify, but will take messages and try\r\n".into()),
        ("EXPN a\r\n", "502 5.5.1 Command not implemented\r\n".into()),
        ("BDAT 6\r\nNOOP\r\nNOOP\r\n", "502 5.5.1 BDAT is not offered\r\n[close]".into()),
        (
            "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n..a\r\n.\r\nNOOP\r\n",
            format!("{ehlo}{from}{to}{go}[1 .a\r\n]{kept}{ok}"),
        ),
        (
            "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bad@b.example>\r\nDATA\r\n",
            format!("250 mx.example\r\n{from}550 5.1.1 bad\r\n554 5.5.1 No valid recipients\r\n"),
        ),
        (
            "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nRCPT TO:<y@b.example>\r\nRCPT TO:<z@b.example>\r\nDATA\r\n.\r\n",
            format!("250 mx.example\r\n{from}{to}{to}452 4.5.3 Too many recipients\r\n{go}[2 ]{kept}"),
        ),
        ("MAIL FROM:<>\r\n", "503 5.5.1 EHLO first\r\n".into()),
        ("RCPT TO:<a@b.example>\r\nDATA\r\n", "503 5.5.1 MAIL first\r\n".repeat(2)),
        (
            "HELO c\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n",
            format!("250 mx.example\r\n{from}503 5.5.1 A message is under way already\r\n"),
        ),
        (
            "HELO c\r\nMAIL FROM:<>\r\nHELO c\r\nRCPT TO:<a@b.example>\r\n",
            format!("250 mx.example\r\n{from}250 mx.example\r\n503 5.5.1 MAIL first\r\n"),
        ),
        (
            "HELO c\r\nMAIL FROM:<> SIZE=101\r\nMAIL FROM:<> SIZE=100\r\n",
            format!("250 mx.example\r\n552 5.3.4 Message exceeds the size limit\r\n{from}"),
        ),
        (
            "HELO c\r\nMAIL FROM:<> SMTPUTF8\r\nMAIL FROM:<ü@b.example>\r\n",
            "250 mx.example\r\n555 5.5.4 Parameter SMTPUTF8 is not offered\r\n\
             553 5.6.7 Such an address needs the parameter SMTPUTF8\r\n"
                .into(),
        ),
        (&big, format!("{ehlo}{from}{to}{go}552 5.3.4 Message exceeds the size limit\r\n{ok}")),
        (&long, format!("500 5.5.2 Line too long\r\n{ok}")),
        (&endless, "500 5.5.2 Line too long, closing connection\r\n[close]".into()),
        ("NOOP\nNOOP\r\n", format!("500 5.5.2 A line must end in CR LF\r\n{ok}")),
        ("A\r\nB\r\nC\r\nD\r\nNOOP\r\n", format!("{}{many}", shrug.repeat(3))),
        (&flood, format!("{}421 4.7.0 Too many commands without a message\r\n[close]", ok.repeat(10))),
        ("STARTTLS\r\nNOOP\r\nMAIL FROM:<>\r\n", "220 2.0.0 Ready to start TLS\r\n[handshake]".into()),
        ("HELO c\r\nMAIL FROM:<silent@b.example>\r\nNOOP\r\nNOOP\r\n", "250 mx.example\r\n".into()),
    ];
    for (input, expected) in table {
        for size in [usize::MAX, 1, 7] {
            let said = talk(&mut ServerSession::new(options()), input.as_bytes(), size);
            let shown = &input[..input.len().min(200)];
            assert_eq!(said, format!("{GREETING}{expected}"), "{shown:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_smuggled_message_is_one_refused_message() {
    let start = "HELO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n";
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r.\r\n",
        "\r.\r",
        "\r\n.\n",
        "\r\n.\r",
        "\r\n.\r\r\n",
        "\n\n.\r\n",
        "\r\r\n.\n",
    ] {
        let input = format!("{start}a{end}MAIL FROM:<b@b.example>\r\n.\r\nNOOP\r\n");
        for size in [usize::MAX, 1] {
            let said = talk(&mut ServerSession::new(options()), input.as_bytes(), size);
            let tail =
                "554 5.6.0 Lines of a message must end in CR LF, without bare CR or LF\r\n250 2.0.0 OK\r\n";
            assert!(said.ends_with(tail), "{end:?}: {said}");
            assert_eq!(said.matches("2.1.0 from").count(), 1, "{end:?}");
            assert!(!said.contains('['), "{end:?}: nothing reached the owner");
        }
    }
}

#[test]
fn a_message_without_end_ends_the_session() {
    let mut session = ServerSession::new(options());
    talk(&mut session, b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n", 99);
    let said = talk(&mut session, &vec![b'x'; 2_000_000], 8_192);
    assert_eq!(said, "552 5.3.4 Message exceeds the size limit\r\n[close]");
}

#[test]
fn after_tls_the_client_must_introduce_itself_again() {
    let mut session = ServerSession::new(options());
    talk(&mut session, b"EHLO c\r\nMAIL FROM:<>\r\nSTARTTLS\r\nNOOP\r\n", 99);
    session.received(b"RSET\r\n");
    session.tls_started(ChannelBindings::default());
    assert_eq!((session.peer(), session.envelope(), session.is_secure()), (None, None, true));
    let said = talk(&mut session, b"MAIL FROM:<>\r\nSTARTTLS\r\nEHLO c\r\n", 99);
    let expected = "503 5.5.1 EHLO first\r\n503 5.5.1 TLS is active already\r\n\
                    250-mx.example\r\n250-PIPELINING\r\n250-DSN\r\n250 SIZE 100\r\n";
    assert_eq!(said, expected);
}

#[test]
fn an_accepted_message_forgives_errors_and_idle_commands() {
    let round =
        "X\r\nX\r\nX\r\nNOOP\r\nNOOP\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n.\r\n";
    let input = format!("HELO c\r\n{}", round.repeat(5));
    let said = talk(&mut ServerSession::new(options()), input.as_bytes(), 99);
    assert_eq!((said.matches("kept").count(), said.contains("[close]")), (5, false), "{said}");
}

#[test]
fn refused_recipients_without_end_end_the_session() {
    let input = format!("HELO c\r\nMAIL FROM:<>\r\n{}", "RCPT TO:<bad@b.example>\r\n".repeat(20));
    let said = talk(&mut ServerSession::new(options()), input.as_bytes(), 99);
    assert_eq!(said.matches("550 5.1.1").count(), 9, "HELO counts too: {said}");
    assert!(said.ends_with("421 4.7.0 Too many refused commands\r\n[close]"), "{said}");
}

#[test]
fn a_session_ends_politely() {
    let ended = |act: fn(&mut ServerSession)| {
        let mut session = ServerSession::new(options());
        talk(&mut session, b"HELO c\r\n", 99);
        act(&mut session);
        talk(&mut session, b"NOOP\r\n", 99)
    };
    assert_eq!(ended(ServerSession::shutdown), "421 4.3.2 Server is shutting down\r\n[close]");
    assert_eq!(ended(ServerSession::timed_out), "421 4.4.2 Timeout, closing connection\r\n[close]");
    assert_eq!(ended(ServerSession::peer_closed), "[close]");
    let mut refused = ServerSession::refused(options(), &Reply::with_enhanced(421, 7, 0, "Busy"));
    assert_eq!(talk(&mut refused, b"NOOP\r\n", 99), "421 4.7.0 Busy\r\n[close]");
}

#[test]
fn a_message_in_the_owners_hands_is_answered_before_the_end() {
    let mut session = ServerSession::new(options());
    talk(&mut session, b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n", 99);
    session.received(b"a\r\n.\r\n");
    assert!(matches!(session.step(), ServerStep::Message(_)));
    session.shutdown();
    assert!(matches!(session.step(), ServerStep::Message(_)), "asked until it is answered");
    session.answer(Reply::with_enhanced(250, 0, 0, "kept"));
    assert_eq!(talk(&mut session, b"", 99), "250 2.0.0 kept\r\n421 4.3.2 Server is shutting down\r\n[close]");
}

#[test]
fn a_late_answer_after_the_client_left_is_dropped() {
    let mut session = ServerSession::new(options());
    talk(&mut session, b"HELO c\r\n", 99);
    session.received(b"MAIL FROM:<>\r\n");
    assert!(matches!(session.step(), ServerStep::Mail(_)));
    session.peer_closed();
    session.answer(Reply::with_enhanced(250, 1, 0, "from"));
    assert_eq!(session.step(), ServerStep::Close);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn how_the_input_is_cut_does_not_matter(
        parts in proptest::collection::vec(
            "EHLO c\r\n|MAIL FROM:<a@b>\r\n|RCPT TO:<x@b>\r\n|DATA\r\n|\r\n\\.\r\n|\\.|\r|\n|NOOP\r\n|STARTTLS\r\n|RSET\r\n|ab", 0..40),
        size in 1usize..9,
    ) {
        let input = parts.concat();
        let generous = || ServerSession::new(ServerOptions { max_errors: 30, ..options() });
        let whole = talk(&mut generous(), input.as_bytes(), usize::MAX);
        prop_assert_eq!(talk(&mut generous(), input.as_bytes(), size), whole);
    }

    #[test]
    fn random_bytes_never_panic(input in proptest::collection::vec(any::<u8>(), 0..2_000), size in 1usize..500) {
        talk(&mut ServerSession::new(options()), &input, size);
    }
}

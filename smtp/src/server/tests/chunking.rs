use super::*;
use crate::data::DotStuffer;
use bytes::Bytes;

const START: &str = "HELO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@b.example>\r\n";
const STARTED: &str = "220 mx.example ESMTP\r\n250 mx.example\r\n250 2.1.0 from\r\n250 2.1.0 to\r\n";
const OK: &str = "250 2.0.0 OK\r\n";
const BARE: &str = "554 5.6.0 Lines of a message must end in CR LF, without bare CR or LF\r\n";
const LARGE: &str = "552 5.3.4 Message exceeds the size limit\r\n";
const LATE: &str = "503 5.5.1 The message was refused already\r\n";

fn session() -> ServerSession {
    let extensions = Extensions { chunking: true, ..options().extensions };
    ServerSession::new(ServerOptions { extensions, ..options() })
}

fn received(octets: usize) -> String {
    format!("250 2.0.0 {octets} octets received\r\n")
}

#[test]
fn chunking_is_offered_and_binarymime_is_not() {
    let said = talk(&mut session(), b"EHLO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\n", 99);
    assert!(said.contains("250-CHUNKING\r\n") && !said.contains("BINARYMIME"), "{said}");
    assert!(said.ends_with("555 5.5.4 Parameter BODY is not offered\r\n"), "{said}");
}

#[test]
fn chunks_get_their_answers_however_the_input_is_cut() {
    let kept = |content: &str| format!("[1 {content}]250 2.0.0 kept\r\n");
    let (x101, x60) = ("x".repeat(101), "x".repeat(60));
    let table: Vec<(String, String)> = vec![
        ("BDAT 6 LAST\r\n.\r\na\r\nNOOP\r\n".into(), format!("{}{OK}", kept(".\r\na\r\n"))),
        ("bdat 0 last\r\nNOOP\r\n".into(), format!("{}{OK}", kept(""))),
        ("BDAT 3 LAST\r\nendNOOP\r\n".into(), format!("{}{OK}", kept("end\r\n"))),
        (
            "BDAT 6\r\nQUIT\r\nBDAT 4\r\n..\r\nBDAT 0 LAST\r\nNOOP\r\n".into(),
            format!("{}{}{}{OK}", received(6), received(4), kept("QUIT\r\n..\r\n")),
        ),
        // The border of two chunks is between CR and LF.
        ("BDAT 2\r\na\rBDAT 1 LAST\r\n\nNOOP\r\n".into(), format!("{}{}{OK}", received(2), kept("a\r\n"))),
        ("BDAT 2\r\na\rBDAT 2 LAST\r\nb\nNOOP\r\n".into(), format!("{}{BARE}{OK}", received(2))),
        ("BDAT 2 LAST\r\na\rNOOP\r\n".into(), format!("{BARE}{OK}")),
        ("BDAT 8 LAST\r\na\r\n.\n\nb\nNOOP\r\n".into(), format!("{BARE}{OK}")),
        // What was in the pipeline behind a refused chunk is dropped, and is no new error.
        (
            format!("BDAT 2\r\n\na{}BDAT 6 LAST\r\nDATA\r\nNOOP\r\n", "BDAT 6\r\nRSET\r\n".repeat(5)),
            format!("{BARE}{}{OK}", LATE.repeat(6)),
        ),
        (format!("BDAT 101 LAST\r\n{x101}NOOP\r\n"), format!("{LARGE}{OK}")),
        (
            format!("BDAT 60\r\n{x60}BDAT 60\r\n{x60}BDAT 60 LAST\r\n{x60}NOOP\r\n"),
            format!("{}{LARGE}{LATE}{OK}", received(60)),
        ),
        (
            "BDAT 2\r\n\na\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nBDAT 2 LAST\r\n\r\n".into(),
            format!(
                "{BARE}500 5.5.1 Command not recognized\r\n250 2.1.0 from\r\n250 2.1.0 to\r\n{}",
                kept("\r\n")
            ),
        ),
        (
            "BDAT 5\r\none\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nBDAT 5 LAST\r\ntwo\r\n".into(),
            format!("{}{OK}250 2.1.0 from\r\n250 2.1.0 to\r\n{}", received(5), kept("two\r\n")),
        ),
        ("RSET\r\nBDAT 6 LAST\r\nDATA\r\nNOOP\r\n".into(), format!("{OK}503 5.5.1 MAIL first\r\n{OK}")),
        (
            "RSET\r\nMAIL FROM:<>\r\nBDAT 3\r\na\r\nRCPT TO:<x@b.example>\r\nBDAT 3 LAST\r\nb\r\n".into(),
            format!("{OK}250 2.1.0 from\r\n554 5.5.1 No valid recipients\r\n503 5.5.1 MAIL first\r\n{LATE}"),
        ),
        (
            "BDAT 3\r\na\r\nDATA\r\nRCPT TO:<x@b.example>\r\nMAIL FROM:<>\r\nBDAT 0 LAST\r\n".into(),
            format!(
                "{}503 5.5.1 The message comes by BDAT already\r\n\
                 503 5.5.1 The message has begun: RCPT before BDAT\r\n\
                 503 5.5.1 A message is under way already\r\n{}",
                received(3),
                kept("a\r\n")
            ),
        ),
        ("BDAT 3\r\na\r\nQUIT\r\n".into(), format!("{}221 2.0.0 Bye\r\n[close]", received(3))),
        ("BDAT 6 FIRST\r\nNOOP\r\n".into(), "501 5.5.4 Syntax: BDAT size [LAST]\r\n[close]".into()),
        ("BDAT\r\nNOOP\r\n".into(), "501 5.5.4 Syntax: BDAT size [LAST]\r\n[close]".into()),
    ];
    for (input, expected) in table {
        for size in [usize::MAX, 1, 7] {
            let said = talk(&mut session(), format!("{START}{input}").as_bytes(), size);
            assert_eq!(said, format!("{STARTED}{expected}"), "{input:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_line_that_is_too_long_refuses_its_message_and_the_session_goes_on() {
    let long = "554 5.6.0 A line of the message has more than 9 octets: \
                break it, or encode the text as quoted-printable or base64\r\n";
    let go = "354 Send the message, end with a dot on a line of its own\r\n";
    let kept = |content: &str| format!("[1 {content}]250 2.0.0 kept\r\n");
    let table = [
        ("DATA\r\n1234567\r\n.\r\n", format!("{go}{}", kept("1234567\r\n"))),
        ("DATA\r\n..234567\r\n.\r\n", format!("{go}{}", kept(".234567\r\n"))),
        ("DATA\r\n12345678\r\nRSET\r\n.\r\n", format!("{go}{long}")),
        ("BDAT 9 LAST\r\n1234567\r\n", kept("1234567\r\n")),
        ("BDAT 10 LAST\r\n12345678\r\n", long.into()),
        ("BDAT 8 LAST\r\n12345678", long.into()),
        ("BDAT 5\r\n12345BDAT 5\r\n67890BDAT 6 LAST\r\nQUIT\r\n", format!("{}{long}{LATE}", received(5))),
    ];
    for (input, expected) in table {
        let input = format!("{START}{input}NOOP\r\n");
        for size in [usize::MAX, 1, 7] {
            let options = ServerOptions { max_content_line: 9, ..session().options };
            let said = talk(&mut ServerSession::new(options), input.as_bytes(), size);
            assert_eq!(said, format!("{STARTED}{expected}{OK}"), "{input:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_chunk_too_large_to_be_dropped_ends_the_session_before_it_comes() {
    let allowance = swallow_allowance(options().max_message_size);
    for (start, fits) in [("", "503 5.5.1 MAIL first\r\n"), (START, LARGE)] {
        for (declared, expected) in [
            (allowance, String::new()),
            (allowance + 1, format!("{LARGE}[close]")),
            (usize::MAX, format!("{LARGE}[close]")),
        ] {
            let mut session = session();
            talk(&mut session, start.as_bytes(), 99);
            let said = talk(&mut session, format!("BDAT {declared}\r\n").as_bytes(), 99);
            assert!(said.ends_with(&expected), "{declared}: {said}");
            if expected.is_empty() {
                let said = talk(&mut session, &vec![b'x'; declared], 8_192);
                assert_eq!(said, fits);
                // All of it is used up now.
                assert_eq!(talk(&mut session, b"BDAT 1\r\n", 99), format!("{LARGE}[close]"));
            }
        }
    }
}

#[test]
fn chunks_are_idle_only_where_they_bring_nothing() {
    let many = |chunk: &str| talk(&mut session(), format!("{START}{}", chunk.repeat(40)).as_bytes(), 99);
    let useful = many("BDAT 2\r\n\r\n");
    assert_eq!(
        (useful.matches("octets received").count(), useful.contains("[close]")),
        (40, false),
        "{useful}"
    );
    for useless in ["BDAT 0\r\n", "BDAT 2\r\n\n\n"] {
        let said = many(useless);
        assert!(said.ends_with("421 4.7.0 Too many commands without a message\r\n[close]"), "{said}");
    }
}

#[test]
fn what_is_held_of_a_message_counts_until_it_is_answered() {
    let mut session = session();
    talk(&mut session, START.as_bytes(), 99);
    for (input, held) in [("BDAT 5\r\n", 0), ("ab", 2), ("c\r\nBDAT 4 LAST\r\nd", 6), ("e\r\n", 9)] {
        session.received(input.as_bytes());
        while let ServerStep::Write(_) = session.step() {}
        assert_eq!(session.held(), held, "{input:?}");
    }
    assert!(matches!(session.step(), ServerStep::Message(_)));
    session.answer(Reply::with_enhanced(250, 0, 0, "kept"));
    assert_eq!(session.held(), 0);
    talk(&mut session, b"MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\nab", 99);
    assert_eq!(session.held(), 2);
    talk(&mut session, b"\n", 99);
    assert_eq!(session.held(), 0, "a message that is refused is not kept");
}

/// The same session with the content sent by BDAT in chunks that end at `cuts`.
fn by_bdat(content: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut wire = START.as_bytes().to_vec();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (content.len() + 1)).collect();
    ends.sort_unstable();
    let mut at = 0;
    for end in ends {
        wire.extend_from_slice(format!("BDAT {}\r\n", end - at).as_bytes());
        wire.extend_from_slice(&content[at..end]);
        at = end;
    }
    wire.extend_from_slice(format!("BDAT {} LAST\r\n", content.len() - at).as_bytes());
    wire.extend_from_slice(&content[at..]);
    wire
}

fn by_data(content: &[u8]) -> Vec<u8> {
    let stuffed = DotStuffer::new(Bytes::copy_from_slice(content)).flatten();
    START.bytes().chain("DATA\r\n".bytes()).chain(stuffed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_message_by_bdat_fares_as_the_same_by_data(
        parts in proptest::collection::vec("(\r\n|\\.|a|\\.\r\n|é|BDAT 1\r\n|QUIT\r\n){3}|\r|\n", 0..8),
        cuts in proptest::collection::vec(any::<usize>(), 0..5),
        size in 1usize..40,
    ) {
        let content = parts.concat();
        // What the owner heard, or how it was refused; and whether the session is in step.
        let outcome = |wire: &[u8]| {
            let options = ServerOptions { max_message_size: 60, ..session().options };
            let mut session = ServerSession::new(options);
            let said = talk(&mut session, wire, size);
            let heard = said.find('[').map(|at| &said[at..]);
            let refused = || said.lines().find(|line| line.starts_with("55"));
            let told = heard.or_else(refused).map(str::to_owned);
            (told.expect("an end"), talk(&mut session, b"NOOP\r\n", 99))
        };
        let (data, in_step) = outcome(&by_data(content.as_bytes()));
        prop_assert_eq!(&in_step, OK);
        let (bdat, in_step) = outcome(&by_bdat(content.as_bytes(), &cuts));
        prop_assert_eq!(&in_step, OK);
        if content.len() > 58 && content.contains(['\r', '\n']) {
            // Which of two problems is found first differs.
            prop_assert_eq!(bdat.starts_with('['), data.starts_with('['));
        } else {
            prop_assert_eq!(bdat, data);
        }
    }

    #[test]
    fn how_chunks_are_cut_into_reads_does_not_matter(
        parts in proptest::collection::vec(
            "EHLO c\r\n|MAIL FROM:<a@b>\r\n|RCPT TO:<x@b>\r\n|BDAT [0-9]\r\n|BDAT [0-9] LAST\r\n|BDAT 200\r\n|DATA\r\n|\r\n\\.\r\n|\r|\n|RSET\r\n|abc|.{9}", 0..40),
        size in 1usize..9,
    ) {
        let input = parts.concat();
        let generous = || ServerSession::new(ServerOptions { max_errors: 30, max_idle_commands: 50, max_content_line: 9, ..session().options });
        let whole = talk(&mut generous(), input.as_bytes(), usize::MAX);
        prop_assert_eq!(talk(&mut generous(), input.as_bytes(), size), whole);
    }
}

mod scram;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::scram::tests::{AwsLc, keys};

const EHLO: &str = "250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-DSN\r\n250-SIZE 100\r\n\
                    250 AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n";
const IN: &str = "[in user]235 2.7.0 Authentication succeeded\r\n";
/// To who was in already, by the question before.
const WELCOME: &str = "235 2.7.0 Authentication succeeded\r\n";
const OUT: &str = "[out user]535 5.7.8 Authentication credentials invalid\r\n";
const MALFORMED: &str = "501 5.5.2 Malformed authentication message\r\n";
const NO_BASE64: &str = "501 5.5.2 That is not base64\r\n";
const CANCELLED: &str = "501 5.7.0 Authentication cancelled\r\n";
const NEEDED: &str = "530 5.7.0 Authentication required\r\n";
const FROM: &str = "250 2.1.0 from\r\n";
const OK: &str = "250 2.0.0 OK\r\n";
/// `Password:`, after which clients of LOGIN say it.
const PASSWORD: &str = "334 UGFzc3dvcmQ6\r\n";

/// Not over TLS.
fn session_in_the_clear(passwords_without_tls: bool) -> ServerSession {
    let auth = AuthOffer { passwords_without_tls, scram: Some(&AwsLc), max_failures: 3 };
    let extensions = Extensions { chunking: true, ..options().extensions };
    ServerSession::new(ServerOptions { auth: Some(auth), max_errors: 10, extensions, ..options() })
}

fn session(bindings: ChannelBindings) -> ServerSession {
    let mut session = session_in_the_clear(false);
    session.tls_started(bindings);
    session
}

/// Answers for an owner who knows the password of `user`, `pencil`. Says in brackets who is in and who is not.
pub(super) fn decide(session: &mut ServerSession, question: AuthQuestion) -> String {
    let wrong = Reply::with_enhanced(535, 7, 8, "Authentication credentials invalid");
    let (said, answer) = match question {
        AuthQuestion::Password { username, password } => match username.as_str() {
            "user" if password == "pencil" => (format!("[in {username}]"), AuthAnswer::Accept),
            "later" => (String::new(), later()),
            "bye" => (String::new(), AuthAnswer::Refuse(Reply::with_enhanced(421, 7, 0, "Bye"))),
            _ => (format!("[out {username}]"), AuthAnswer::Refuse(wrong)),
        },
        AuthQuestion::Keys { username } => {
            let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
            (format!("[keys {username}]"), AuthAnswer::Keys { keys: keys("pencil"), nonce })
        }
        AuthQuestion::Proven { username } if username == "later" => (String::new(), later()),
        AuthQuestion::Proven { username } => (format!("[in {username}]"), AuthAnswer::Accept),
        AuthQuestion::Disproved { username } => (format!("[out {username}]"), AuthAnswer::Refuse(wrong)),
    };
    session.answer_auth(answer);
    said
}

fn later() -> AuthAnswer {
    AuthAnswer::Refuse(Reply::with_enhanced(454, 7, 0, "Later"))
}

fn base64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

fn plain(username: &str, password: &str) -> String {
    base64(format!("\0{username}\0{password}"))
}

/// Each input comes after EHLO over TLS.
fn assert_answers(table: &[(String, String)]) {
    for (input, expected) in table {
        for size in [usize::MAX, 1, 7] {
            let said =
                talk(&mut session(ChannelBindings::default()), format!("EHLO c\r\n{input}").as_bytes(), size);
            let shown = &input[..input.len().min(200)];
            assert_eq!(said, format!("{GREETING}{EHLO}{expected}"), "{shown:?} in pieces of {size}");
        }
    }
}

#[test]
fn plain_and_login_bring_a_client_in_however_its_words_are_cut() {
    let (user, pencil, good) = (base64("user"), base64("pencil"), plain("user", "pencil"));
    assert_answers(&[
        (format!("AUTH PLAIN {good}\r\nMAIL FROM:<>\r\n"), format!("{IN}{FROM}")),
        (format!("auth plain\r\n{good}\r\nMAIL FROM:<>\r\n"), format!("334 \r\n{IN}{FROM}")),
        (format!("AUTH PLAIN {}\r\n", base64("user\0user\0pencil")), IN.into()),
        (format!("AUTH LOGIN\r\n{user}\r\n{pencil}\r\n"), format!("334 VXNlcm5hbWU6\r\n{PASSWORD}{IN}")),
        (format!("AUTH LOGIN {user}\r\n{pencil}\r\n"), format!("{PASSWORD}{IN}")),
        (format!("AUTH PLAIN {}\r\nAUTH PLAIN {good}\r\n", plain("user", "ink")), format!("{OUT}{IN}")),
        // Who wrote the message first is taken and ignored.
        (format!("AUTH PLAIN {good}\r\nMAIL FROM:<> AUTH=<>\r\n"), format!("{IN}{FROM}")),
        (format!("AUTH PLAIN {good}\r\nMAIL FROM:<> AUTH=e+3Dmc2@b\r\n"), format!("{IN}{FROM}")),
        (format!("AUTH PLAIN {good}\r\nRSET\r\nMAIL FROM:<>\r\n"), format!("{IN}{OK}{FROM}")),
        (format!("AUTH PLAIN {good}\r\nEHLO c\r\nMAIL FROM:<>\r\n"), format!("{IN}{EHLO}{FROM}")),
    ]);
}

#[test]
fn what_is_no_login_gets_its_answer() {
    let (user, good) = (base64("user"), plain("user", "pencil"));
    let twice = "503 5.5.1 You are logged in already\r\n";
    let unknown = "504 5.5.4 This mechanism is not offered\r\n";
    let syntax = "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n";
    let somebody_else =
        "535 5.7.8 Acting as somebody else is not supported: leave the authorization identity empty\r\n";
    let table: &[(String, String)] = &[
        ("AUTH\r\nAUTH PLAIN a b\r\nAUTH PL@IN\r\n".into(), syntax.repeat(3)),
        ("AUTH CRAM-MD5\r\nAUTH SCRAM-SHA-1 biws\r\nAUTH SCRAM-SHA-256-PLUS\r\n".into(), unknown.repeat(3)),
        ("AUTH PLAIN !\r\nAUTH LOGIN AA=A\r\n".into(), NO_BASE64.repeat(2)),
        ("AUTH PLAIN\r\n=\r\nNOOP\r\n".into(), format!("334 \r\n{NO_BASE64}{OK}")),
        ("AUTH PLAIN\r\n*\r\nNOOP\r\n".into(), format!("334 \r\n{CANCELLED}{OK}")),
        (format!("AUTH LOGIN {user}\r\n*\r\nNOOP\r\n"), format!("{PASSWORD}{CANCELLED}{OK}")),
        ("AUTH PLAIN *\r\n".into(), NO_BASE64.into()),
        ("AUTH PLAIN =\r\nAUTH PLAIN\r\n\r\n".into(), format!("{MALFORMED}334 \r\n{MALFORMED}")),
        (
            ["user", "user\0pencil", "\0a\0b\0c", "\0a\0"]
                .map(|text| format!("AUTH PLAIN {}\r\n", base64(text)))
                .concat(),
            format!("{}[out a]535 5.7.8 Authentication credentials invalid\r\n", MALFORMED.repeat(3)),
        ),
        (format!("AUTH PLAIN {}\r\n", base64(b"\0user\0\xff")), MALFORMED.into()),
        (format!("AUTH LOGIN {}\r\n", base64("us\0er")), MALFORMED.into()),
        (format!("AUTH PLAIN {}\r\n", base64("admin\0user\0pencil")), somebody_else.into()),
        (format!("AUTH PLAIN {}\r\nNOOP\r\n", plain("later", "x")), format!("454 4.7.0 Later\r\n{OK}")),
        (format!("AUTH PLAIN {}\r\nNOOP\r\n", plain("bye", "x")), "421 4.7.0 Bye\r\n[close]".into()),
        (format!("AUTH PLAIN {good}\r\nAUTH PLAIN {good}\r\n"), format!("{IN}{twice}")),
        (
            format!("AUTH PLAIN {good}\r\nMAIL FROM:<>\r\nAUTH PLAIN\r\nRSET\r\n"),
            format!("{IN}{FROM}{twice}{OK}"),
        ),
        (format!("HELO c\r\nAUTH PLAIN {good}\r\n"), "250 mx.example\r\n503 5.5.1 EHLO first\r\n".into()),
    ];
    assert_answers(table);
}

#[test]
fn who_is_not_logged_in_sends_no_mail() {
    let first = "503 5.5.1 MAIL first\r\n";
    let wrong = plain("user", "ink");
    assert_answers(&[
        ("MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n".into(), format!("{NEEDED}{first}{first}")),
        ("MAIL FROM:<>\r\nBDAT 6 LAST\r\nDATA\r\nNOOP\r\n".into(), format!("{NEEDED}{first}{OK}")),
        ("MAIL FROM:<> AUTH=user\r\n".into(), NEEDED.into()),
        ("AUTH PLAIN\r\n*\r\nMAIL FROM:<>\r\n".into(), format!("334 \r\n{CANCELLED}{NEEDED}")),
        (format!("AUTH PLAIN {wrong}\r\nMAIL FROM:<>\r\n"), format!("{OUT}{NEEDED}")),
    ]);
}

#[test]
fn recipients_that_cannot_be_do_not_keep_the_message_from_the_others() {
    let good = plain("user", "pencil");
    let login = format!("AUTH PLAIN {good}\r\nMAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\n");
    let entered = format!("{IN}{FROM}250 2.1.0 to\r\n");
    let (dots, no_ascii) = ("RCPT TO:<user..1@b.example>\r\n", "RCPT TO:<ü@b.example>\r\n");
    let bad = "501 5.1.3 Bad recipient address syntax\r\n";
    let utf8 = "553 5.6.7 Such an address needs the parameter SMTPUTF8\r\n";
    let data = "DATA\r\n.\r\nNOOP\r\n";
    let kept = "354 Send the message, end with a dot on a line of its own\r\n[1 ]250 2.0.0 kept\r\n";
    assert_answers(&[
        // AUTH was the second command of the 10 that may bring nothing further.
        (format!("{login}{}{data}", dots.repeat(8)), format!("{entered}{}{kept}{OK}", bad.repeat(8))),
        (format!("{login}{}{data}", no_ascii.repeat(8)), format!("{entered}{}{kept}{OK}", utf8.repeat(8))),
        (
            format!("{login}{}{data}", dots.repeat(9)),
            format!("{entered}{}421 4.7.0 Too many refused commands\r\n[close]", bad.repeat(8)),
        ),
        // Without a message under way, and without a login, they count as errors.
        (
            format!("AUTH PLAIN {good}\r\n{}", dots.repeat(11)),
            format!("{IN}{}421 4.7.0 Too many errors\r\n[close]", bad.repeat(10)),
        ),
    ]);
    let input = format!("EHLO c\r\nMAIL FROM:<>\r\n{}", dots.repeat(4));
    let said = talk(&mut ServerSession::new(options()), input.as_bytes(), usize::MAX);
    assert!(said.ends_with(&format!("{}421 4.7.0 Too many errors\r\n[close]", bad.repeat(3))), "{said}");
}

#[test]
fn what_follows_auth_in_a_pipeline_is_read_as_its_response() {
    let good = plain("user", "pencil");
    assert_answers(&[
        ("AUTH PLAIN\r\nMAIL FROM:<>\r\n".into(), format!("334 \r\n{NO_BASE64}")),
        (
            "AUTH LOGIN\r\nQUIT\r\nRSET\r\nNOOP\r\n".into(),
            format!("334 VXNlcm5hbWU6\r\n{PASSWORD}{}{OK}", OUT.replace("user", "AB\x13")),
        ),
        (
            format!(
                "AUTH PLAIN\r\n{good}\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\na\r\n.\r\n"
            ),
            format!(
                "334 \r\n{IN}{FROM}250 2.1.0 to\r\n354 Send the message, end with a dot on a line of its own\r\n\
                 [1 a\r\n]250 2.0.0 kept\r\n"
            ),
        ),
    ]);
}

#[test]
fn a_response_may_be_longer_than_a_command_and_not_longer_than_its_bound() {
    // Octets of the line, CR LF included; base64 comes in fours.
    let response = |octets: usize| base64(format!("\0user\0{}", "x".repeat((octets - 2) / 4 * 3 - 6)));
    let (longest, too_long) = (response(MAX_RESPONSE), response(MAX_RESPONSE + 4));
    assert!(longest.len() + 2 <= MAX_RESPONSE && too_long.len() + 2 > MAX_RESPONSE);
    let long = "500 5.5.6 Authentication exchange line is too long\r\n";
    let endless = "x".repeat(MAX_RESPONSE * 33);
    assert_answers(&[
        (format!("AUTH PLAIN\r\n{longest}\r\nNOOP\r\n"), format!("334 \r\n{OUT}{OK}")),
        (format!("AUTH PLAIN\r\n{too_long}\r\nNOOP\r\n"), format!("334 \r\n{long}{OK}")),
        (format!("AUTH PLAIN {longest}\r\nNOOP\r\n"), format!("500 5.5.2 Line too long\r\n{OK}")),
        (
            format!("AUTH PLAIN\r\n{endless}"),
            "334 \r\n500 5.5.2 Line too long, closing connection\r\n[close]".into(),
        ),
        // A longer line is for responses only.
        (
            format!("AUTH PLAIN\r\n*\r\nNOOP {}\r\nNOOP\r\n", "x".repeat(3_000)),
            format!("334 \r\n{CANCELLED}500 5.5.2 Line too long\r\n{OK}"),
        ),
    ]);
}

#[test]
fn binary_lines_are_refused_within_an_exchange_and_outside() {
    let newline = "500 5.5.2 A line must end in CR LF\r\n";
    let binary = "500 5.5.2 Malformed command line\r\n";
    for (input, expected) in [
        (&b"AUTH PLAIN\r\n\0\r\nNOOP\r\n"[..], format!("334 \r\n{NO_BASE64}{OK}")),
        (b"AUTH PLAIN\r\n\xff\xfe\r\nNOOP\r\n", format!("334 \r\n{NO_BASE64}{OK}")),
        (b"AUTH PLAIN\r\n*\nNOOP\r\n", format!("334 \r\n{newline}{OK}")),
        (b"AUTH PLAIN\r\n*\r*\r\nNOOP\r\n", format!("334 \r\n{newline}{OK}")),
        (b"AUTH PLAIN \xff\r\nNOOP\r\n", format!("{binary}{OK}")),
        (b"AUTH PLAIN\0AGEAYg==\r\nNOOP\r\n", format!("{binary}{OK}")),
        (b"\x16\x03\x01\r\nNOOP\r\n", format!("{binary}{OK}")),
        (b"MAIL FROM:<a\0@b>\r\nMAIL FROM:<\xff@b>\r\nNOOP\r\n", format!("{binary}{binary}{OK}")),
    ] {
        for size in [usize::MAX, 1, 7] {
            let mut session = session(ChannelBindings::default());
            let said = talk(&mut session, &[b"EHLO c\r\n", input].concat(), size);
            assert_eq!(said, format!("{GREETING}{EHLO}{expected}"), "{}", input.escape_ascii());
        }
    }
}

#[test]
fn logins_that_fail_again_and_again_end_the_session() {
    let wrong = format!("AUTH PLAIN {}\r\n", plain("user", "ink"));
    let later = format!("AUTH PLAIN {}\r\n", plain("later", "x"));
    let end = "421 4.7.0 Too many failed logins\r\n[close]";
    let errors = "421 4.7.0 Too many errors\r\n[close]";
    assert_answers(&[
        (wrong.repeat(9), format!("{}[out user]{end}", OUT.repeat(3))),
        (later.repeat(9), format!("{}{end}", "454 4.7.0 Later\r\n".repeat(3))),
        // EHLO is one of the ten that bring no message further.
        ("AUTH PLAIN\r\n*\r\n".repeat(20), {
            let idle = "421 4.7.0 Too many commands without a message\r\n[close]";
            format!("{}{idle}", format!("334 \r\n{CANCELLED}").repeat(9))
        }),
        ("AUTH\r\n".repeat(20), {
            format!("{}{errors}", "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n".repeat(10))
        }),
    ]);
}

#[test]
fn without_tls_passwords_are_neither_offered_nor_taken() {
    let good = plain("user", "pencil");
    let refused = "538 5.7.11 Encryption required: STARTTLS first\r\n";
    let input = format!("EHLO c\r\nAUTH PLAIN {good}\r\nAUTH LOGIN\r\nMAIL FROM:<>\r\n");
    let said = talk(&mut session_in_the_clear(false), input.as_bytes(), 99);
    assert!(said.contains("250-STARTTLS\r\n") && said.contains("250 AUTH SCRAM-SHA-256\r\n"), "{said}");
    assert!(said.ends_with(&format!("{refused}{refused}{NEEDED}")), "{said}");

    let said = talk(&mut session_in_the_clear(true), input.as_bytes(), 99);
    assert!(said.contains("250 AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"), "{said}");
    assert!(said.contains(IN), "{said}");
}

#[test]
fn where_only_tls_makes_a_login_possible_the_client_is_told_to_start_it() {
    let auth = AuthOffer { passwords_without_tls: false, scram: None, max_failures: 3 };
    let mut session = ServerSession::new(ServerOptions { auth: Some(auth), ..options() });
    let said = talk(&mut session, b"EHLO c\r\nMAIL FROM:<>\r\nAUTH SCRAM-SHA-256\r\n", 99);
    assert!(!said.contains("AUTH"), "{said}");
    let expected =
        "530 5.7.0 Must issue a STARTTLS command first\r\n504 5.5.4 This mechanism is not offered\r\n";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn a_login_in_the_clear_does_not_last_over_starttls() {
    let mut session = session_in_the_clear(true);
    let input = format!("EHLO c\r\nAUTH PLAIN {}\r\n", plain("user", "pencil"));
    talk(&mut session, input.as_bytes(), 99);
    assert_eq!(session.user(), Some("user"));
    talk(&mut session, b"STARTTLS\r\nMAIL FROM:<>\r\n", 99);
    session.tls_started(ChannelBindings::default());
    assert_eq!(session.user(), None);
    assert_eq!(talk(&mut session, b"EHLO c\r\nMAIL FROM:<>\r\n", 99), format!("{EHLO}{NEEDED}"));
}

#[test]
fn an_exchange_ends_politely() {
    let ended = |act: fn(&mut ServerSession)| {
        let mut session = session(ChannelBindings::default());
        talk(&mut session, b"EHLO c\r\nAUTH PLAIN\r\n", 99);
        act(&mut session);
        talk(&mut session, format!("{}\r\n", plain("user", "pencil")).as_bytes(), 99)
    };
    assert_eq!(ended(ServerSession::shutdown), "421 4.3.2 Server is shutting down\r\n[close]");
    assert_eq!(ended(ServerSession::timed_out), "421 4.4.2 Timeout, closing connection\r\n[close]");
    assert_eq!(ended(ServerSession::peer_closed), "[close]");
}

/// A session whose owner was just asked.
fn asked(input: &str) -> ServerSession {
    let mut session = session(ChannelBindings::default());
    talk(&mut session, b"EHLO c\r\n", 99);
    session.received(input.as_bytes());
    while let ServerStep::Write(_) = session.step() {}
    assert!(matches!(session.step(), ServerStep::Auth(_)), "asked until it is answered");
    session
}

#[test]
fn a_question_that_is_open_is_answered_before_the_end() {
    let input = format!("AUTH PLAIN {}\r\nNOOP\r\n", plain("user", "pencil"));
    let mut session = asked(&input);
    session.shutdown();
    let ServerStep::Auth(question) = session.step() else { panic!("not asked") };
    decide(&mut session, question);
    let end = "421 4.3.2 Server is shutting down\r\n[close]";
    assert_eq!(talk(&mut session, b"", 99), format!("235 2.7.0 Authentication succeeded\r\n{end}"));

    let mut session = asked(&input);
    session.peer_closed();
    session.answer_auth(AuthAnswer::Accept);
    assert_eq!((session.step(), session.user()), (ServerStep::Close, None));
}

#[test]
fn an_answer_to_another_question_lets_nobody_in() {
    let password = format!("AUTH PLAIN {}\r\n", plain("user", "pencil"));
    let first = format!("AUTH SCRAM-SHA-256 {}\r\n", base64("n,,n=user,r=abc"));
    let keys = AuthAnswer::Keys { keys: keys("pencil"), nonce: "n".into() };
    for (input, answer) in [(password, keys), (first, AuthAnswer::Accept)] {
        let mut session = asked(&input);
        session.answer_auth(answer);
        assert_eq!(talk(&mut session, b"", 99), "454 4.7.0 Temporary authentication failure\r\n");
        assert_eq!(session.user(), None);
    }
    let mut session = session(ChannelBindings::default());
    talk(&mut session, b"EHLO c\r\n", 99);
    session.answer_auth(AuthAnswer::Accept);
    assert_eq!(talk(&mut session, b"MAIL FROM:<>\r\n", 99), NEEDED);
}

#[test]
fn what_a_client_says_to_log_in_shows_nowhere() {
    let secret = plain("user", "pencil");
    for input in [format!("AUTH PLAIN {secret}\r\n"), format!("AUTH PLAIN\r\n{secret}\r\n")] {
        for size in 1..input.len() {
            let mut session = session(ChannelBindings::default());
            talk(&mut session, b"EHLO c\r\n", 99);
            let mut shown = String::new();
            for piece in input.as_bytes().chunks(size) {
                session.received(piece);
                shown += &format!("{session:?}");
                while let ServerStep::Write(_) = session.step() {}
                shown += &format!("{:?}{session:?}", session.step());
            }
            assert!(shown.contains("Password { username: \"user\", .. }"), "{shown}");
            for part in ["pencil", &secret, &secret[..8]] {
                assert!(!shown.contains(part), "{part} in {shown}");
            }
        }
    }
    let shown = format!("{:?}", AuthAnswer::Keys { keys: keys("pencil"), nonce: "n".into() });
    assert!(shown.contains("ScramServerKeys { iterations: 4096, .. }"), "{shown}");
}

/// Lines of all kinds, those of logins among them.
fn conversation() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words = [
        "EHLO c\r\n",
        "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n",
        "AUTH PLAIN AHVzZXIAaW5r\r\n",
        "AUTH PLAIN\r\n",
        "AHVzZXIAcGVuY2ls\r\n",
        "AUTH LOGIN\r\n",
        "dXNlcg==\r\n",
        "cGVuY2ls\r\n",
        "AUTH SCRAM-SHA-256\r\n",
        "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n",
        "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==\r\n",
        "\r\n",
        "=\r\n",
        "*\r\n",
        "MAIL FROM:<a@b>\r\n",
        "RCPT TO:<x@b>\r\n",
        "DATA\r\n",
        "BDAT 3 LAST\r\n",
        ".\r\n",
        "RSET\r\n",
        "STARTTLS\r\n",
        "\n",
        "\r",
    ];
    let word = proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let octets = proptest::collection::vec(any::<u8>(), 0..20);
    proptest::collection::vec(prop_oneof![9 => word, 1 => octets], 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// [`talk`] sees to it that nobody gets to MAIL without a login.
    #[test]
    fn how_a_login_is_cut_does_not_matter(parts in conversation(), size in 1usize..40) {
        let input = parts.concat();
        let generous = || {
            let auth = AuthOffer { passwords_without_tls: true, scram: Some(&AwsLc), max_failures: 5 };
            ServerSession::new(ServerOptions { auth: Some(auth), max_errors: 30, max_idle_commands: 40, ..options() })
        };
        let whole = talk(&mut generous(), &input, usize::MAX);
        prop_assert_eq!(talk(&mut generous(), &input, size), whole);
    }
}

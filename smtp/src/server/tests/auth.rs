use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::scram::tests::{AwsLc, keys};

const EHLO: &str = "250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-DSN\r\n250-SIZE 100\r\n250 AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n";
const IN: &str = "235 2.7.0 Authentication succeeded\r\n";
const WRONG: &str = "535 5.7.8 Authentication credentials invalid\r\n";
const FROM: &str = "250 2.1.0 from\r\n";

/// Without TLS yet.
fn unsafe_session(passwords_without_tls: bool) -> ServerSession {
    let auth = AuthOffer { passwords_without_tls, scram: Some(&AwsLc), max_failures: 3 };
    let extensions = Extensions { chunking: true, ..options().extensions };
    ServerSession::new(ServerOptions { auth: Some(auth), max_errors: 10, extensions, ..options() })
}

/// Over TLS, without channel bindings.
fn session() -> ServerSession {
    let mut session = unsafe_session(false);
    session.tls_started(ChannelBindings::default());
    session
}

/// Answers for an owner who knows the passwords `pencil` of `user` and `later`. Says what was asked, in brackets.
pub(super) fn decide(session: &mut ServerSession, question: AuthQuestion) -> String {
    let wrong = || AuthAnswer::Refuse(Reply::with_enhanced(535, 7, 8, "Authentication credentials invalid"));
    let (asked, answer) = match question {
        AuthQuestion::Password { username, password } => {
            let answer = match username.as_str() {
                "user" if password == "pencil" => AuthAnswer::Accept,
                "later" => AuthAnswer::Refuse(Reply::with_enhanced(454, 7, 0, "Later")),
                "bye" => AuthAnswer::Refuse(Reply::with_enhanced(421, 7, 0, "Bye")),
                _ => wrong(),
            };
            (format!("[password {username}]"), answer)
        }
        AuthQuestion::Keys { username } => {
            let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
            (format!("[keys {username}]"), AuthAnswer::Keys { keys: keys("pencil"), nonce })
        }
        AuthQuestion::Proven { username } => (format!("[proven {username}]"), AuthAnswer::Accept),
        AuthQuestion::Disproved { username } => (format!("[disproved {username}]"), wrong()),
    };
    session.answer_auth(answer);
    asked
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
            let said = talk(&mut session(), format!("EHLO c\r\n{input}").as_bytes(), size);
            let shown = &input[..input.len().min(200)];
            assert_eq!(said, format!("{GREETING}{EHLO}{expected}"), "{shown:?} in pieces of {size}");
        }
    }
}

#[test]
fn plain_and_login_bring_a_client_in_however_its_words_are_cut() {
    let (user, pencil) = (base64("user"), base64("pencil"));
    let good = plain("user", "pencil");
    let asked = format!("[password user]{IN}");
    let (name, word) = (base64("Username:"), base64("Password:"));
    assert_answers(&[
        (format!("AUTH PLAIN {good}\r\nMAIL FROM:<>\r\n"), format!("{asked}{FROM}")),
        (format!("auth plain\r\n{good}\r\nMAIL FROM:<>\r\n"), format!("334 \r\n{asked}{FROM}")),
        (format!("AUTH PLAIN {}\r\n", base64("user\0user\0pencil")), asked.clone()),
        (format!("AUTH LOGIN\r\n{user}\r\n{pencil}\r\n"), format!("334 {name}\r\n334 {word}\r\n{asked}")),
        (format!("AUTH LOGIN {user}\r\n{pencil}\r\n"), format!("334 {word}\r\n{asked}")),
        (
            format!("AUTH PLAIN {}\r\nAUTH PLAIN {good}\r\n", plain("user", "ink")),
            format!("[password user]{WRONG}{asked}"),
        ),
        // An empty username or password is as wrong as any.
        (
            format!("AUTH LOGIN =\r\n{pencil}\r\nAUTH LOGIN {user}\r\n\r\n"),
            format!("334 {word}\r\n[password ]{WRONG}334 {word}\r\n[password user]{WRONG}"),
        ),
        (format!("AUTH PLAIN {good}\r\nRSET\r\nMAIL FROM:<>\r\n"), format!("{asked}250 2.0.0 OK\r\n{FROM}")),
        (format!("AUTH PLAIN {good}\r\nEHLO c\r\nMAIL FROM:<>\r\n"), format!("{asked}{EHLO}{FROM}")),
    ]);
}

#[test]
fn who_is_not_logged_in_sends_no_mail() {
    let needed = "530 5.7.0 Authentication required\r\n";
    let first = "503 5.5.1 MAIL first\r\n";
    assert_answers(&[
        ("MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nDATA\r\n".into(), format!("{needed}{first}{first}")),
        ("MAIL FROM:<>\r\nBDAT 6 LAST\r\nNOOP\r\n".into(), format!("{needed}{first}")),
        (
            "AUTH PLAIN\r\n*\r\nMAIL FROM:<>\r\n".into(),
            format!("334 \r\n501 5.7.0 Authentication cancelled\r\n{needed}"),
        ),
    ]);
}

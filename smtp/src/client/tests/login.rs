use super::*;
use crate::sasl::{Login, MalformedLogin};
use crate::scram::tests::AwsLc;

const PASSWORD: &str = "pencil";

fn login() -> Login {
    Login::new("user", PASSWORD).unwrap()
}

fn scram() -> Login {
    login().with_scram(&AwsLc, "rOprNGfwEbeRWgbNEkqO".into())
}

/// Logs in over TLS where these mechanisms are offered; says how that ended.
fn attempt(login: &Login, offered: &str, rows: &[Row]) -> String {
    let ends = [usize::MAX, 1].map(|size| {
        let mut session = session();
        session.tls_started();
        play(&mut session, &[GREET, (EHLO, &format!("250-mx\r\n250 AUTH {offered}\r\n"))], size);
        session.authenticate(login);
        match play(&mut session, rows, size) {
            ClientStep::Closed(Some(failure)) => {
                assert_eq!(failure.at(), Phase::Auth);
                failure.to_string()
            }
            step => format!("{step:?}"),
        }
    });
    assert_eq!(ends[0], ends[1], "{rows:?}");
    ends[0].clone()
}

#[test]
fn the_best_mechanism_that_is_offered_is_used() {
    let plain = ("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n", "235 2.7.0 in\r\n");
    let first: Row = (
        "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n",
        "334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2\
         Z1E9PSxpPTQwOTY=\r\n",
    );
    let last = (
        "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRl\
         OXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==\r\n",
        "334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n",
    );
    let proven = ("\r\n", "235 2.7.0 in\r\n");
    let table: &[(Login, &str, &[Row])] = &[
        (scram(), "PLAIN LOGIN SCRAM-SHA-256", &[first, last, proven]),
        (scram(), "LOGIN PLAIN", &[plain]),
        (login(), "SCRAM-SHA-256 PLAIN", &[plain]),
        (
            login(),
            "LOGIN CRAM-MD5",
            &[
                ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"),
                ("dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n"),
                ("cGVuY2ls\r\n", "235 in\r\n"),
            ],
        ),
        (scram(), "SCRAM-SHA-256 PLAIN", &[(first.0, "504 5.5.4 not for you\r\n"), plain]),
        (scram(), "SCRAM-SHA-256 PLAIN", &[first, (last.0, "534 5.7.9 too weak\r\n"), plain]),
    ];
    for (login, offered, rows) in table {
        assert_eq!(attempt(login, offered, rows), "Ready", "{offered}");
    }
}

#[test]
fn a_login_that_fails_says_why() {
    const AUTH: &str = "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n";
    let first = "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n";
    let unfit = "login: the server sent a challenge that does not fit the mechanism";
    let table: &[(Login, &str, &[Row], &str)] = &[
        (login(), "PLAIN", &[(AUTH, "535 5.7.8 no\r\n")], "refused at AUTH: 535 5.7.8 no"),
        (login(), "PLAIN", &[(AUTH, "454 4.7.0 later\r\n")], "refused at AUTH: 454 4.7.0 later"),
        (login(), "PLAIN", &[(AUTH, "421 4.7.0 bye\r\n")], "refused at AUTH: 421 4.7.0 bye"),
        (login(), "PLAIN", &[(AUTH, "504 5.7.4 x\r\n")], "refused at AUTH: 504 5.7.4 x"),
        (login(), "PLAIN", &[(AUTH, "<close>")], "connection closed at AUTH"),
        (login(), "PLAIN", &[(AUTH, "<timeout>")], "timeout at AUTH"),
        (login(), "PLAIN", &[(AUTH, "334 \r\n")], unfit),
        (login(), "PLAIN", &[(AUTH, "334 again?\r\n")], unfit),
        (login(), "PLAIN", &[(AUTH, "354 go\r\n")], "an answer 354 that does not fit the command at AUTH"),
        (scram(), "SCRAM-SHA-256", &[(first, "334 \r\n")], unfit),
        (
            scram(),
            "SCRAM-SHA-256",
            &[(first, "235 in\r\n")],
            "login: the server did not prove that it knows the password",
        ),
        (login(), "CRAM-MD5 XOAUTH2", &[], "login: the server offers none of SCRAM-SHA-256, PLAIN and LOGIN"),
    ];
    for (login, offered, rows, expected) in table {
        assert_eq!(attempt(login, offered, rows), *expected, "{rows:?}");
    }
}

#[test]
fn endless_challenges_end_the_session() {
    let rows = [("AUTH LOGIN\r\n", "334 \r\n"), ("dXNlcg==\r\n", "334 \r\n"), ("cGVuY2ls\r\n", "334 \r\n")];
    let expected = "login: the server sent a challenge that does not fit the mechanism";
    assert_eq!(attempt(&login(), "LOGIN", &rows), expected);
}

#[test]
fn a_response_too_long_for_the_line_of_auth_waits_for_the_server() {
    let long = Login::new("user", &"p".repeat(600)).unwrap();
    let secret = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("\0user\0{}", "p".repeat(600)),
    ) + "\r\n";
    let rows = [("AUTH PLAIN\r\n", "334 \r\n"), (&*secret, "235 in\r\n")];
    assert_eq!(attempt(&long, "PLAIN", &rows), "Ready");
}

#[test]
fn without_tls_no_password_is_sent() {
    let mut session = session();
    play(&mut session, &[GREET, (EHLO, "250-mx\r\n250 AUTH PLAIN\r\n")], 9);
    session.authenticate(&login());
    let ClientStep::Closed(Some(failure)) = play(&mut session, &[], 9) else { panic!("not closed") };
    assert_eq!(failure.to_string(), "login: the connection is not secured, so the password was not sent");
}

#[test]
fn the_password_shows_nowhere() {
    let login = login();
    let mut session = session();
    session.tls_started();
    play(&mut session, &[GREET, (EHLO, "250-mx\r\n250 AUTH PLAIN\r\n")], 9);
    session.authenticate(&login);
    let shown = format!("{login:?} {session:?} {:?} {session:?}", session.step());
    for secret in [PASSWORD, "AHVzZXIAcGVuY2ls"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("user") && shown.contains("Write(29 octets)"), "{shown}");
}

#[test]
fn a_login_that_no_server_could_be_told_is_refused() {
    for (username, password) in [("", "x"), ("x", ""), ("a\0b", "x"), ("a", "x\r\ny")] {
        assert_eq!(Login::new(username, password).err(), Some(MalformedLogin), "{username:?}");
    }
}

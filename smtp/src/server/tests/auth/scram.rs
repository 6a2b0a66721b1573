use super::*;
use crate::scram::tests::client_final;

fn bindings() -> ChannelBindings {
    ChannelBindings { exporter: Some([7; 32]), end_point: None }
}

/// Logs in with these two messages, the last made from what the server said to the first. Gives what was said after
/// EHLO, without base64.
fn attempt(
    session: &mut ServerSession,
    mechanism: &str,
    first: &str,
    last: impl FnOnce(&str) -> String,
) -> Vec<String> {
    talk(session, b"EHLO c\r\n", 99);
    let mut heard = Vec::new();
    let mut say = |session: &mut ServerSession, line: &str| {
        let said = talk(session, format!("{line}\r\n").as_bytes(), 9);
        let challenge = said.split_once("334 ").map(|(asked, text)| {
            format!("{asked}{}", String::from_utf8(STANDARD.decode(text.trim_end()).unwrap()).unwrap())
        });
        heard.push(challenge.unwrap_or(said));
        heard.last().unwrap().clone()
    };
    let said = say(session, &format!("AUTH {mechanism} {}", base64(first)));
    if let Some(at) = said.find("r=") {
        let said = say(session, &base64(last(&said[at..])));
        if said.contains("v=") {
            say(session, "");
        }
    }
    heard
}

#[test]
fn a_client_that_knows_the_password_and_sees_that_the_server_does_is_in() {
    let mut session = session(ChannelBindings::default());
    let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    let heard = attempt(&mut session, "SCRAM-SHA-256", first, |_| {
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
            .to_owned()
    });
    assert_eq!(
        heard,
        [
            "[keys user]r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "[in user]v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            WELCOME,
        ]
    );
    assert_eq!(session.user(), Some("user"));
}

#[test]
fn without_an_initial_response_the_server_waits_for_it() {
    let first = base64("n,,n=user,r=abc");
    let input = format!("EHLO c\r\nAUTH SCRAM-SHA-256\r\n{first}\r\n*\r\nMAIL FROM:<>\r\n");
    let said = talk(&mut session(ChannelBindings::default()), input.as_bytes(), 3);
    assert!(said.contains(&format!("{EHLO}334 \r\n[keys user]334 ")), "{said}");
    assert!(said.ends_with(&format!("\r\n{CANCELLED}{NEEDED}")), "{said}");
}

#[test]
fn plus_is_offered_where_tls_has_something_to_bind_to() {
    let offers = |bindings| talk(&mut session(bindings), b"EHLO c\r\n", 99);
    let plus = "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n";
    assert!(offers(bindings()).ends_with(plus));
    assert!(offers(ChannelBindings { exporter: None, end_point: Some(vec![1]) }).ends_with(plus));
    assert!(!offers(ChannelBindings::default()).contains("PLUS"));
}

#[test]
fn who_gets_in_is_decided_by_password_and_binding() {
    let downgrade =
        "535 5.7.8 SCRAM-SHA-256-PLUS is offered and was hidden from you: somebody may be reading along\r\n";
    let no_such =
        "535 5.7.8 This channel binding is not available: use tls-exporter or tls-server-end-point\r\n";
    let extension = "535 5.7.8 This SCRAM extension is not supported\r\n";
    let octets = [7; 32];
    let plus = "SCRAM-SHA-256-PLUS";
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [u8], &'a str, &'a str);
    let table: &[Row] = &[
        (plus, "p=tls-exporter,,", "n=user,r=abc", &octets, "pencil", WELCOME),
        (plus, "p=tls-exporter,,", "n=user,r=abc", &octets, "ink", OUT),
        (plus, "p=tls-exporter,,", "n=user,r=abc", &[8; 32], "pencil", OUT),
        (plus, "p=tls-server-end-point,,", "n=user,r=abc", &octets, "pencil", no_such),
        (plus, "n,,", "n=user,r=abc", b"", "pencil", MALFORMED),
        ("SCRAM-SHA-256", "n,,", "n=user,r=abc", b"", "pencil", WELCOME),
        ("SCRAM-SHA-256", "n,,", "n=user,r=abc", b"", "ink", OUT),
        ("SCRAM-SHA-256", "y,,", "n=user,r=abc", b"", "pencil", downgrade),
        ("SCRAM-SHA-256", "n,,", "m=x,n=user,r=abc", b"", "pencil", extension),
        ("SCRAM-SHA-256", "p=tls-exporter,,", "n=user,r=abc", &octets, "pencil", MALFORMED),
    ];
    for (mechanism, header, bare, binding, password, end) in table {
        let mut session = session(bindings());
        let bound = [header.as_bytes(), binding].concat();
        let first = format!("{header}{bare}");
        let heard = attempt(&mut session, mechanism, &first, |server_first| {
            client_final(password, &bound, bare, server_first.trim_end())
        });
        assert_eq!(heard.last().map(String::as_str), Some(*end), "{mechanism} {first} {password}");
        assert_eq!(session.user(), (*end == WELCOME).then_some("user"));
    }
}

#[test]
fn nobody_is_in_before_the_end_of_the_exchange() {
    for (end, said) in [("*", CANCELLED), ("AAAA", MALFORMED), ("!", NO_BASE64)] {
        let mut session = session(ChannelBindings::default());
        talk(&mut session, b"EHLO c\r\n", 99);
        let bare = "n=user,r=abc";
        talk(&mut session, format!("AUTH SCRAM-SHA-256 {}\r\n", base64(format!("n,,{bare}"))).as_bytes(), 99);
        let server_first = "r=abc%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = base64(client_final("pencil", b"n,,", bare, server_first));
        let proof = talk(&mut session, format!("{last}\r\n").as_bytes(), 99);
        assert!(proof.starts_with("[in user]334 dj1"), "{proof}");
        let heard = talk(&mut session, format!("{end}\r\nMAIL FROM:<>\r\n").as_bytes(), 99);
        assert_eq!(heard, format!("{said}{NEEDED}"));
        assert_eq!(session.user(), None);
    }
}

#[test]
fn who_may_not_come_in_is_told_nothing_of_the_proof() {
    let mut session = session(ChannelBindings::default());
    let heard = attempt(&mut session, "SCRAM-SHA-256", "n,,n=later,r=abc", |server_first| {
        client_final("pencil", b"n,,", "n=later,r=abc", server_first.trim_end())
    });
    assert_eq!(heard[1..], ["454 4.7.0 Later\r\n"]);
    assert_eq!(session.user(), None);
}

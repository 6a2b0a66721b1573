use super::*;
use crate::extensions::{FutureRelease, Limits};
use crate::params::{Body, Hold, Notify, OriginalRecipient, Ret};

const FROM: &str = "250 2.1.0 from\r\n";

/// Everything that submission offers; for clients without a login.
fn all() -> Extensions {
    Extensions {
        pipelining: true,
        starttls: true,
        eight_bit_mime: true,
        smtputf8: true,
        chunking: true,
        dsn: true,
        enhanced_status_codes: true,
        require_tls: true,
        limits: Limits { mail_max: Some(2), rcpt_max: Some(5) },
        future_release: Some(FutureRelease {
            max_interval: 86_400,
            max_date_time: "2026-11-26T10:00:00Z".into(),
        }),
        ..Extensions::default()
    }
}

fn session(extensions: Extensions, tls: bool) -> ServerSession {
    let mut session =
        ServerSession::new(ServerOptions { extensions, max_recipients: 5, max_errors: 99, ..options() });
    if tls {
        session.tls_started(ChannelBindings::default());
    }
    talk(&mut session, b"EHLO c\r\n", 99);
    session
}

/// What is said to MAIL with these parameters.
fn mail(extensions: Extensions, tls: bool, parameters: &str) -> String {
    talk(&mut session(extensions, tls), format!("MAIL FROM:<a@b.example> {parameters}\r\n").as_bytes(), 99)
}

#[test]
fn what_is_offered_is_told() {
    let offers = |tls: bool| talk(&mut session(all(), tls), b"EHLO c\r\n", 99);
    let always = "250-8BITMIME\r\n250-SMTPUTF8\r\n";
    let tail =
        "250-SIZE 100\r\n250-LIMITS MAILMAX=2 RCPTMAX=5\r\n250 FUTURERELEASE 86400 2026-11-26T10:00:00Z\r\n";
    assert_eq!(
        offers(false),
        format!(
            "250-mx.example\r\n250-PIPELINING\r\n{always}250-STARTTLS\r\n250-CHUNKING\r\n250-DSN\r\n\
             250-ENHANCEDSTATUSCODES\r\n{tail}"
        )
    );
    assert_eq!(
        offers(true),
        format!(
            "250-mx.example\r\n250-PIPELINING\r\n{always}250-CHUNKING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n\
             250-REQUIRETLS\r\n{tail}"
        )
    );
}

#[test]
fn a_parameter_is_taken_where_its_extension_is_offered_and_refused_elsewhere() {
    for (parameter, name) in [
        ("BODY=7BIT", "BODY"),
        ("BODY=8BITMIME", "BODY"),
        ("SMTPUTF8", "SMTPUTF8"),
        ("REQUIRETLS", "REQUIRETLS"),
        ("RET=FULL", "RET"),
        ("RET=HDRS ENVID=QQ+2B1", "RET"),
        ("ENVID=QQ314159", "ENVID"),
        ("HOLDFOR=60", "HOLDFOR and HOLDUNTIL"),
        ("HOLDUNTIL=2026-11-25T10:00:00Z", "HOLDFOR and HOLDUNTIL"),
    ] {
        let refused = format!("555 5.5.4 Parameter {name} is not offered\r\n");
        assert_eq!(mail(all(), true, parameter), FROM, "{parameter}");
        assert_eq!(mail(Extensions::default(), true, parameter), refused, "{parameter}");
    }
    let refused = |name: &str| format!("555 5.5.4 Parameter {name} is not offered\r\n");
    assert_eq!(mail(all(), false, "REQUIRETLS"), refused("REQUIRETLS"), "not without TLS");
    assert_eq!(mail(all(), true, "AUTH=<>"), refused("AUTH"), "not without AUTH");
    assert_eq!(mail(all(), true, "BODY=BINARYMIME"), refused("BODY"));
    assert_eq!(mail(all(), true, "MT-PRIORITY=3"), "555 5.5.4 Parameter MT-PRIORITY not recognized\r\n");
}

#[test]
fn malformed_parameters_are_refused() {
    for parameter in [
        "RET=SOME",
        "RET=FULL RET=FULL",
        "RET",
        "ENVID=",
        "ENVID=a+",
        "ENVID=+0D+0A",
        "HOLDFOR=0",
        "HOLDFOR=-1",
        "HOLDFOR=1000000000",
        "HOLDFOR=60 HOLDUNTIL=2026-11-25T10:00:00Z",
        "HOLDUNTIL=tomorrow",
        "HOLDUNTIL=2026-11-25T10:00:00",
        "REQUIRETLS=yes",
        "SMTPUTF8 SMTPUTF8",
    ] {
        let said = mail(all(), true, parameter);
        assert!(said.starts_with("501 5.5.4 "), "{parameter}: {said}");
    }
    let long = format!("ENVID={}", "x".repeat(101));
    assert!(mail(all(), true, &long).starts_with("501 5.5.4 "));
}

#[test]
fn a_message_is_held_no_longer_than_was_announced() {
    let refused = "501 5.5.4 A message can be held for 86400 seconds at most, until 2026-11-26T10:00:00Z\r\n";
    for (parameter, said) in [
        ("HOLDFOR=86400", FROM),
        ("HOLDFOR=86401", refused),
        ("HOLDUNTIL=2026-11-26T10:00:00Z", FROM),
        ("HOLDUNTIL=2026-11-26T11:00:00+01:00", FROM),
        ("HOLDUNTIL=2026-11-26T10:00:01Z", refused),
        ("HOLDUNTIL=9999-12-31T23:59:59Z", refused),
    ] {
        assert_eq!(mail(all(), false, parameter), said, "{parameter}");
    }
}

#[test]
fn the_owner_hears_of_every_parameter() {
    let mut session = session(all(), true);
    session.received(
        b"MAIL FROM:<a@b.example> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 HOLDFOR=60 REQUIRETLS\r\n\
          RCPT TO:<x@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@b.example\r\n",
    );
    let expected = MailCommand {
        from: "a@b.example".into(),
        size: Some(99),
        body: Some(Body::EightBitMime),
        smtputf8: true,
        require_tls: true,
        ret: Some(Ret::Headers),
        envid: Some("QQ+1".into()),
        auth: None,
        hold: Some(Hold::For(60)),
    };
    assert_eq!(session.step(), ServerStep::Mail(expected));
    session.answer(Reply::with_enhanced(250, 1, 0, "from"));
    let address = "x+y@b.example".to_owned();
    let expected = RcptCommand {
        path: "x@b.example".into(),
        notify: Some(Notify::On { success: true, failure: false, delay: true }),
        orcpt: Some(OriginalRecipient { address_type: "rfc822".into(), address }),
    };
    assert_eq!(session.step(), ServerStep::Rcpt(expected));
}

#[test]
fn parameters_of_recipients_belong_to_dsn() {
    let refused = "555 5.5.4 Parameters NOTIFY and ORCPT are not offered\r\n";
    let to = "250 2.1.0 to\r\n";
    for (parameter, with, without) in [
        ("NOTIFY=NEVER", to, refused),
        ("NOTIFY=FAILURE,DELAY", to, refused),
        ("ORCPT=rfc822;y@b.example", to, refused),
        ("ORCPT=utf-8;j\\x{FC}rgen@b.example", to, refused),
    ] {
        for (extensions, said) in [(all(), with), (Extensions { dsn: false, ..all() }, without)] {
            let mut session = session(extensions, true);
            talk(&mut session, b"MAIL FROM:<>\r\n", 99);
            let line = format!("RCPT TO:<x@b.example> {parameter}\r\n");
            assert_eq!(talk(&mut session, line.as_bytes(), 99), said, "{parameter}");
        }
    }
    for parameter in ["NOTIFY=NEVER,DELAY", "NOTIFY=", "ORCPT=y@b.example", "NOTIFY=NEVER NOTIFY=NEVER"] {
        let mut session = session(all(), true);
        talk(&mut session, b"MAIL FROM:<>\r\n", 99);
        let said = talk(&mut session, format!("RCPT TO:<x@b.example> {parameter}\r\n").as_bytes(), 99);
        assert!(said.starts_with("501 5.5.4 "), "{parameter}: {said}");
    }
}

#[test]
fn a_session_brings_no_more_messages_than_was_announced() {
    let message = "MAIL FROM:<>\r\nRCPT TO:<x@b.example>\r\nBDAT 0 LAST\r\n";
    let said = talk(&mut session(all(), false), message.repeat(3).as_bytes(), 99);
    assert_eq!(said.matches("kept").count(), 2, "{said}");
    let end = "421 4.5.3 This session brought as many messages as it may, connect again for more\r\n[close]";
    assert!(said.ends_with(end), "{said}");
}

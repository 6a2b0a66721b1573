//! What a client that submits a message asks of reports about it (RFC 3461): what the next host hears of that, and what is
//! in the reports of our own.

use crate::{
    harness::{Action, Embedded, Identity, SmtpPeer, USER, Verb, eventually},
    submission_rules::{Client, NAME, builder, message, rider},
};
use std::time::Duration;

/// A message to `to`, of which the next host says what the address begins with: `yes`, `no`, or `later`.
struct Case {
    to: &'static str,
    mail: &'static str,
    rcpt: &'static str,
    /// What the next host hears behind the address in MAIL, and behind that in RCPT, where `{to}` is the address.
    heard: [&'static str; 2],
    /// What is in the report, if there is one.
    report: Option<&'static [&'static str]>,
    /// Whether the body is in the report.
    whole: bool,
}

/// Nothing is asked for. The next host gets what a report can be matched by all the same.
const CASE: Case = Case {
    to: "",
    mail: "",
    rcpt: "",
    heard: ["RET=HDRS ENVID=m@x", "ORCPT=rfc822;{to}"],
    report: None,
    whole: false,
};
const USUAL: &str = CASE.heard[0];
const NOTHING: [&str; 2] = ["", ""];

// With characters that mean something in xtext.
const ENVELOPE_ID: &str = "Original-Envelope-Id: a+b=c;x\r\n";
const ORIGINAL: &str = "Original-Recipient: rfc822; f+1=x@y.example\r\n";

async fn start(identity: &Identity, extensions: &[&str]) -> (Embedded, SmtpPeer) {
    let script = SmtpPeer::builder().extensions(extensions).script(|moment| match moment.verb {
        Verb::Rcpt if moment.line.contains("<no") => Action::Reply("550 5.7.1 Not here"),
        Verb::Rcpt if moment.line.contains("<later") => Action::Reply("451 4.7.1 Not now"),
        _ => Action::Usual,
    });
    let peer = script.start().await;
    let server = builder(identity).account(rider()).deliver_to(&peer);
    let late = Duration::from_secs(5 * 3600);
    let server = server.settings(move |settings| settings.delivery.retry = vec![late, late]).start().await;
    (server, peer)
}

async fn submit(client: &mut Client, case: &Case) {
    client.expect(&format!("MAIL FROM:<{USER}> {}", case.mail), "250").await;
    client.expect(&format!("RCPT TO:<{}@remote.example> {}", case.to, case.rcpt), "250").await;
    client.expect("DATA", "354").await;
    let content = "From: rider@localhost\r\nMessage-ID: <m@x>\r\nSubject: s\r\n\r\nthe body\r\n.";
    client.expect(content, "250 2.6.0").await;
}

/// Waits until the message was tried; a report about that is there by then.
async fn tried(server: &Embedded, id: u64) {
    let tried = async || match message(server, id).attempts.len() {
        0 => Err("it is not".to_owned()),
        _ => Ok(()),
    };
    eventually("the message is tried", tried).await;
}

async fn check(extensions: &[&str], cases: &[Case]) {
    let identity = Identity::self_signed(&[NAME]);
    let (server, peer) = start(&identity, extensions).await;
    let mut client = server.session(&identity, USER).await;
    for (id, case) in (1..).zip(cases) {
        submit(&mut client, case).await;
        tried(&server, id).await;
        let address = format!("<{}@remote.example>", case.to);
        let visits = peer.visits();
        let commands: Vec<&String> = visits.iter().flat_map(|visit| &visit.commands).collect();
        let rcpt = commands.iter().position(|line| line.contains(&address)).expect("the host heard of it");
        for (line, heard) in [commands[rcpt - 1], commands[rcpt]].iter().zip(case.heard) {
            let heard = heard.replace("{to}", address.trim_matches(['<', '>']));
            let said = line.split_once('>').expect("an address").1.trim();
            assert_eq!(said, heard, "{}: {line}", case.to);
        }
        let inbox = server.inbox("rider");
        let about = format!("Final-Recipient: rfc822; {}@remote.example\r\n", case.to);
        let mut reports = inbox.iter().map(|(_, octets)| String::from_utf8_lossy(octets));
        let report = reports.find(|report| report.contains(&about));
        assert_eq!(report.is_some(), case.report.is_some(), "{}: {report:?}", case.to);
        for part in case.report.unwrap_or_default() {
            let report = report.as_deref().unwrap_or_default();
            assert!(report.contains(part), "{}: {part:?} is not in {report}", case.to);
        }
        let is_whole = report.is_some_and(|report| report.contains("\r\n\r\nthe body\r\n"));
        assert_eq!(is_whole, case.whole, "{}", case.to);
    }
}

#[tokio::test]
async fn a_host_with_dsn_hears_what_the_client_asks_and_reports_of_our_own_follow_it() {
    let failed = Some(&["Action: failed\r\n"][..]);
    let cases = [
        Case { to: "no-word", report: failed, ..CASE },
        Case {
            to: "no-never",
            rcpt: "NOTIFY=NEVER",
            heard: [USUAL, "NOTIFY=NEVER ORCPT=rfc822;{to}"],
            ..CASE
        },
        Case {
            to: "later-never",
            rcpt: "NOTIFY=NEVER",
            heard: [USUAL, "NOTIFY=NEVER ORCPT=rfc822;{to}"],
            ..CASE
        },
        Case {
            to: "later-delay",
            rcpt: "NOTIFY=DELAY",
            heard: [USUAL, "NOTIFY=DELAY ORCPT=rfc822;{to}"],
            report: Some(&["Action: delayed\r\n"]),
            ..CASE
        },
        Case {
            to: "no-delay",
            rcpt: "NOTIFY=DELAY",
            heard: [USUAL, "NOTIFY=DELAY ORCPT=rfc822;{to}"],
            ..CASE
        },
        Case {
            to: "later-failure",
            rcpt: "NOTIFY=FAILURE",
            heard: [USUAL, "NOTIFY=FAILURE ORCPT=rfc822;{to}"],
            ..CASE
        },
        Case {
            to: "no-full",
            mail: "RET=FULL ENVID=a+2Bb+3Dc;x",
            rcpt: "NOTIFY=FAILURE ORCPT=rfc822;f+2B1+3Dx@y.example",
            heard: ["RET=FULL ENVID=a+2Bb+3Dc;x", "NOTIFY=FAILURE ORCPT=rfc822;f+2B1+3Dx@y.example"],
            report: Some(&["Action: failed\r\n", ENVELOPE_ID, ORIGINAL]),
            whole: true,
        },
        Case {
            to: "no-header",
            mail: "RET=HDRS ENVID=a+2Bb+3Dc;x",
            rcpt: "ORCPT=rfc822;f+2B1+3Dx@y.example",
            heard: ["RET=HDRS ENVID=a+2Bb+3Dc;x", "ORCPT=rfc822;f+2B1+3Dx@y.example"],
            report: Some(&["Action: failed\r\n", ENVELOPE_ID, ORIGINAL, "\r\nSubject: s\r\n"]),
            ..CASE
        },
        // That host is the one to report it.
        Case {
            to: "yes-success",
            rcpt: "NOTIFY=SUCCESS",
            heard: [USUAL, "NOTIFY=SUCCESS ORCPT=rfc822;{to}"],
            ..CASE
        },
    ];
    check(&["DSN", "PIPELINING"], &cases).await;
}

#[tokio::test]
async fn a_host_without_dsn_hears_nothing_of_it_and_what_it_takes_is_reported_as_relayed() {
    let cases = [
        Case {
            to: "yes-success",
            mail: "RET=FULL ENVID=a+2Bb+3Dc;x",
            rcpt: "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;f+2B1+3Dx@y.example",
            heard: NOTHING,
            report: Some(&["Action: relayed\r\n", ENVELOPE_ID, ORIGINAL]),
            ..CASE
        },
        Case { to: "yes-failure", rcpt: "NOTIFY=FAILURE,DELAY", heard: NOTHING, ..CASE },
        Case { to: "yes-word", heard: NOTHING, ..CASE },
        Case { to: "no-success", rcpt: "NOTIFY=SUCCESS", heard: NOTHING, ..CASE },
        Case { to: "no-never", mail: "RET=FULL", rcpt: "NOTIFY=NEVER", heard: NOTHING, ..CASE },
        Case {
            to: "no-full",
            mail: "RET=FULL",
            rcpt: "NOTIFY=FAILURE",
            heard: NOTHING,
            report: Some(&["Action: failed\r\n"]),
            whole: true,
        },
    ];
    check(&["PIPELINING"], &cases).await;
}

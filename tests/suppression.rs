//! What puts an address on the suppression list by itself, and which addresses that holds for.

use crate::{
    harness::{
        Action, DnsServer, Embedded, HookReceiver, Moment, Server, SmtpPeer, Verb, account, message_to,
    },
    returns::{comes, dsn},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use store::records::MessageOutcome;

const FRIEND: &str = "friend@remote.example";

/// A peer that says one thing at a time, once and for good to a connection, and takes what comes while it says nothing.
#[derive(Clone, Default)]
struct Mood(Arc<Mutex<Option<(Verb, &'static str)>>>);

impl Mood {
    fn says(&self, verb: Verb, reply: &'static str) {
        *self.0.lock().expect("no holder panics") = Some((verb, reply));
    }

    fn is_kind(&self) {
        *self.0.lock().expect("no holder panics") = None;
    }

    async fn peer(&self) -> SmtpPeer {
        let mood = self.0.clone();
        SmtpPeer::scripted(move |moment: &Moment<'_>| match *mood.lock().expect("no holder panics") {
            Some((verb, reply)) if verb == as_spoken(moment.verb) => Action::ReplyAndClose(reply),
            _ => Action::Usual,
        })
        .await
    }
}

/// Who refuses EHLO refuses HELO too.
fn as_spoken(verb: Verb) -> Verb {
    if verb == Verb::Helo { Verb::Ehlo } else { verb }
}

/// A server that tries each message once.
async fn server(peer: &SmtpPeer) -> Embedded {
    let builder = Embedded::builder().account(account("rider")).deliver_to(peer);
    builder.settings(|settings| settings.delivery.retry.clear()).start().await
}

/// Whether a message to that recipient fails so that it suppresses; `None`: it was not sent, or arrived.
async fn fails(server: &Embedded, to: &str) -> Option<bool> {
    match server.end(server.send(to).await).await.outcome {
        Some(MessageOutcome::Failed { suppressing, .. }) => Some(suppressing),
        _ => None,
    }
}

/// The reasons on the list, by base address.
async fn list(server: &Embedded) -> Vec<(String, String)> {
    let list = server.api().ok("SuppressionList", &json!({})).await;
    let text = |entry: &Value, name: &str| entry[name].as_str().expect("a text").to_owned();
    let entries = list["Suppressions"].as_array().expect("a list").iter();
    entries.map(|entry| (text(entry, "BaseAddress"), text(entry, "Reason"))).collect()
}

/// An answer, where it is given, and the verdict on it where it suppresses at once.
#[rustfmt::skip]
const ANSWERS: &[(Verb, &str, Option<&str>)] = &[
    (Verb::Rcpt,      "550 5.1.1 no such user",                        Some("mailbox, permanent")),
    (Verb::Rcpt,      "550 User unknown",                              Some("mailbox, permanent")),
    (Verb::EndOfData, "550 User unknown",                              Some("mailbox, permanent")),
    (Verb::Rcpt,      "550 <blocker3@other.example>: User unknown",    Some("mailbox, permanent")),
    (Verb::Rcpt,      "550 blocker4@policy.example is not here",       Some("mailbox, permanent")),
    (Verb::Rcpt,      "554 5.1.2 bad destination system",              Some("domain, permanent")),
    (Verb::Rcpt,      "501 5.1.3 bad syntax",                          Some("mailbox, permanent")),
    (Verb::Rcpt,      "550 5.1.6 moved",                               Some("mailbox, permanent")),
    (Verb::Rcpt,      "556 5.1.10 null MX",                            Some("domain, permanent")),
    (Verb::EndOfData, "554 5.2.1 mailbox disabled",                    Some("mailbox, permanent")),
    (Verb::Rcpt,      "521 no mail here",                              Some("domain, permanent")),
    (Verb::Rcpt,      "551 user not local",                            Some("mailbox, permanent")),
    (Verb::Rcpt,      "553 mailbox name not allowed",                  Some("mailbox, permanent")),
    (Verb::Data,      "556 domain takes no mail",                      Some("domain, permanent")),
    (Verb::Rcpt,      "550 rejected, your address is on a block list", None),
    (Verb::Rcpt,      "550 refused, write to block-list@isp.example",  None),
    (Verb::EndOfData, "550 this looks like spam",                      None),
    (Verb::Rcpt,      "550 against our policy",                        None),
    (Verb::EndOfData, "550 message contains a virus",                  None),
    (Verb::Rcpt,      "550 5.7.1 no",                                  None),
    (Verb::Rcpt,      "552 5.2.2 over quota",                          None),
    (Verb::Rcpt,      "554 no",                                        None),
    (Verb::Rcpt,      "450 4.1.1 not verified yet",                    None),
    (Verb::EndOfData, "451 4.3.0 later",                               None),
    (Verb::Connect,   "550 go away",                                   None),
    (Verb::Ehlo,      "550 5.1.1 go away",                             None),
    (Verb::Connect,   "521 5.7.1 client blocked using a list",         None),
    (Verb::Connect,   "521 remote.example does not accept mail",       Some("domain, permanent")),
    (Verb::Mail,      "550 no",                                        None),
    (Verb::Mail,      "550 5.1.1 user unknown",                        None),
    (Verb::Mail,      "553 sender not allowed",                        None),
];

#[tokio::test]
async fn answers_suppress_at_once_where_they_speak_of_the_mailbox_or_the_domain() {
    let mood = Mood::default();
    let peer = mood.peer().await;
    // A host that refuses the session is left alone for a while: each such answer has a server of its own.
    let common = server(&peer).await;
    for (number, &(verb, reply, verdict)) in ANSWERS.iter().enumerate() {
        let own = if matches!(verb, Verb::Connect | Verb::Ehlo) { Some(server(&peer).await) } else { None };
        let server = own.as_ref().unwrap_or(&common);
        mood.says(verb, reply);
        let before = list(server).await;
        let recipient = format!("blocker{number}@remote.example");
        assert_eq!(fails(server, &recipient).await, Some(verdict.is_some()), "{verb:?} {reply}");
        let after = list(server).await;
        let added: Vec<_> = after.iter().filter(|entry| !before.contains(entry)).collect();
        match (verdict, added.as_slice()) {
            (None, []) => {}
            (Some(verdict), [(base, reason)]) => {
                assert_eq!(*base, recipient);
                let expected = format!("{reply} ({verdict}); queue message ");
                assert!(reason.starts_with(&expected), "{reason} is not {expected}");
            }
            _ => panic!("{verb:?} {reply}: {added:?}"),
        }
    }
}

#[tokio::test]
async fn other_answers_suppress_when_the_two_latest_other_messages_failed_too() {
    let mood = Mood::default();
    let peer = mood.peer().await;
    let server = server(&peer).await;
    let full = Some((Verb::Rcpt, "552 5.2.2 over quota"));
    let no = Some((Verb::EndOfData, "554 transaction failed"));
    for (to, answer, expected) in [
        (FRIEND, full, Some(false)),
        (FRIEND, no, Some(false)),
        (FRIEND, None, None),
        (FRIEND, full, Some(false)),
        ("other@remote.example", full, Some(false)),
        ("Friend+news@Remote.example", no, Some(false)),
        ("other@remote.example", None, None),
        (FRIEND, Some((Verb::Mail, "550 5.1.8 bad sender")), Some(true)),
        (FRIEND, None, None),
    ] {
        match answer {
            Some((verb, reply)) => mood.says(verb, reply),
            None => mood.is_kind(),
        }
        assert_eq!(fails(&server, to).await, expected, "{to}: {answer:?}");
    }
    let list = list(&server).await;
    let [(base, reason)] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!(base, FRIEND);
    let expected =
        "550 5.1.8 bad sender (sender-reputation, permanent); third failure in a row; queue message ";
    assert!(reason.starts_with(expected), "{reason}");
    assert_eq!(peer.deliveries().len(), 2, "the last message to the friend was not sent");
}

#[tokio::test]
async fn what_is_no_answer_about_the_recipient_never_makes_the_third_in_a_row() {
    let session = |verb, reply| (Some((verb, reply)), format!("{verb:?} {reply}"));
    for (last, what) in [
        session(Verb::Connect, "550 go away"),
        session(Verb::Connect, "421 4.3.2 busy"),
        session(Verb::Ehlo, "554 5.7.1 not you"),
        (None, "no connection".to_owned()),
    ] {
        let mood = Mood::default();
        let peer = mood.peer().await;
        let server = server(&peer).await;
        mood.says(Verb::Rcpt, "552 5.2.2 over quota");
        for _ in 0..2 {
            assert_eq!(fails(&server, FRIEND).await, Some(false));
        }
        match last {
            Some((verb, reply)) => mood.says(verb, reply),
            None => drop(peer),
        }
        assert_eq!(fails(&server, FRIEND).await, Some(false), "{what}");
        assert_eq!(list(&server).await, []);
    }
}

#[tokio::test]
async fn domains_that_do_not_exist_or_take_no_mail_add_nobody() {
    let dns = DnsServer::start("null.test MX 0 .").await;
    let server = Embedded::direct(&dns).start().await;
    for domain in ["missing.test", "null.test"] {
        for _ in 0..4 {
            assert_eq!(fails(&server, &format!("x@{domain}")).await, Some(false), "{domain}");
        }
    }
    assert_eq!(list(&server).await, []);
}

/// An address that is suppressed, those that are the same mailbox, and some that are not.
const MAILBOXES: &[(&str, &[&str], &[&str])] = &[
    (
        "Jane.Doe+x@googlemail.com",
        &["janedoe@gmail.com", "j.a.n.e.doe+y@GMAIL.com", "JANE.DOE@Googlemail.Com"],
        &["jane-doe@gmail.com", "jane@gmail.com", "janedoe@mail.example"],
    ),
    (
        "jane.doe@dots.example",
        &["Jane.Doe+tag+more@DOTS.example"],
        &["janedoe@dots.example", "jane@dots.example", "jane-doe@dots.example", "jane.doe@sub.dots.example"],
    ),
    (
        "jane-doe+tag@hyphens.example",
        &["jane-doe@hyphens.example"],
        &["jane@hyphens.example", "janedoe@hyphens.example", "jane-roe@hyphens.example"],
    ),
    ("eve@BÜCHER.example", &["Eve+1@xn--bcher-kva.example", "EVE@bücher.example"], &["eve@bucher.example"]),
    ("eve@xn--fa-hia.example", &["eve@faß.example"], &["eve@fass.example"]),
    ("+tag@plus.example", &["+TAG@plus.example"], &["+other@plus.example"]),
];

#[tokio::test]
async fn exactly_the_addresses_of_one_mailbox_are_suppressed_together() {
    let mood = Mood::default();
    let peer = mood.peer().await;
    let server = server(&peer).await;
    for &(failing, same, others) in MAILBOXES {
        mood.says(Verb::Rcpt, "550 5.1.1 no such user");
        assert_eq!(fails(&server, failing).await, Some(true), "{failing}");
        mood.is_kind();
        for (addresses, expected) in [(same, MessageOutcome::Suppressed), (others, MessageOutcome::Delivered)]
        {
            for address in addresses {
                let fate = server.end(server.send(address).await).await;
                assert_eq!(fate.outcome, Some(expected), "{address} after {failing}");
            }
        }
    }
}

/// A server whose messages come back by reports.
struct Reported {
    server: Server,
    hooks: HookReceiver,
    mood: Mood,
    _peer: SmtpPeer,
}

impl Reported {
    async fn start() -> Reported {
        let (mood, hooks) = (Mood::default(), HookReceiver::start().await);
        let peer = mood.peer().await;
        let server = Server::builder().outgoing_webhook(&hooks).deliver_to(&peer).start().await;
        Reported { server, hooks, mood, _peer: peer }
    }

    /// Sends a message to the friend that comes to this end; its id, and where reports about it go.
    async fn sends(&self, end: &str) -> (i64, String) {
        let sent = self.server.send(&message_to(FRIEND)).await;
        self.hooks.event(end, sent.queue_id()).await;
        (sent.queue_id(), format!("rider+{}@localhost", sent.submissions[0].from_id))
    }

    /// Whether a report of a full mailbox suppresses.
    async fn reports(&self, (id, to): &(i64, String)) -> bool {
        let block = format!(
            "Final-Recipient: rfc822; {FRIEND}\r\nAction: failed\r\nStatus: 5.2.2\r\n\
             Diagnostic-Code: smtp; 552 5.2.2 over quota\r\n"
        );
        comes(&self.server, to, &dsn(to, &block)).await;
        self.hooks.event("failed", *id).await["Suppressing"] == true
    }
}

#[tokio::test]
async fn a_report_counts_in_a_row_like_an_answer() {
    let reported = Reported::start().await;
    reported.mood.says(Verb::Rcpt, "554 no");
    reported.sends("failed").await;
    reported.mood.is_kind();
    let second = reported.sends("delivered").await;
    assert!(!reported.reports(&second).await);
    reported.mood.says(Verb::Rcpt, "554 no");
    let (third, _) = reported.sends("failed").await;
    assert_eq!(reported.hooks.event("failed", third).await["Suppressing"], true);
}

#[tokio::test]
async fn late_reports_are_no_row_while_a_newer_message_was_delivered() {
    let reported = Reported::start().await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(reported.sends("delivered").await);
    }
    for (message, suppressing) in sent.iter().zip([false, false, false, true]) {
        assert_eq!(reported.reports(message).await, suppressing, "message {}", message.0);
    }
    let list = reported.server.ok("SuppressionList", &json!({})).await;
    let reason = list["Suppressions"][0]["Reason"].as_str().expect("a reason");
    let expected = format!(
        "552 5.2.2 over quota (mailbox, temporary); third failure in a row; DSN about queue message {}",
        sent[3].0
    );
    assert_eq!(reason, expected);
}

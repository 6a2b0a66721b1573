//! `postrider hooks` and `postrider account webhook-secret`: filters, actions, calls told again, calls to try a webhook,
//! and secrets that change.

use crate::harness::{Api, Call, HookAnswer, HookReceiver, Serve, Site, SmtpClient, eventually, verdict};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

/// Mail to refuse.example fails and mail to later.example is put off, each by an hour, as are webhook calls.
const SETTINGS: &str = "hostname = \"mail.example.com\"\n\
    [dns]\nnameservers = [\"127.0.0.1:1\"]\n\
    [[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\n\
    [[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"incoming\"\n\
    [[transports]]\nname = \"refuse\"\nfail = { code = 550, text = \"5.7.1 not from here\" }\n\
    [[transports]]\nname = \"later\"\nfail = { code = 451, text = \"4.7.1 greylisted\" }\n\
    [[routes]]\ntransport = \"refuse\"\nto_domains = [\"refuse.example\"]\n\
    [[routes]]\ntransport = \"later\"\nto_domains = [\"later.example\"]\n\
    [delivery]\nretry = [\"1h\", \"1h\", \"1h\"]\n";
const ALLOWED: &str = "[webhooks]\nretry = [\"1h\", \"1h\"]\nallow_networks = [\"127.0.0.0/8\"]\n";

const BEARER: &str = "Bearer hook-secret";

/// The accounts app@example.com and other@example.com, with these lines for the first.
fn directory(app: &str, other: &str) -> String {
    let account = |name: &str, more: &str| {
        format!(
            "[[accounts]]\nname = \"{name}\"\npassword = \"correct horse\"\n\
             addresses = [\"{name}@example.com\"]\n{more}\n"
        )
    };
    format!("[[domains]]\nname = \"example.com\"\n{}{}", account("app", app), account("other", other))
}

fn outgoing(url: &str) -> String {
    format!("outgoing_webhook = {{ url = \"{url}\", authorization = \"{BEARER}\" }}\n")
}

fn incoming(url: &str) -> String {
    format!("incoming_webhook = {{ url = \"{url}\", authorization = \"{BEARER}\" }}\n")
}

fn apply(site: &Site, app: &str, other: &str) {
    site.write("directory.toml", &directory(app, other));
    site.ok(&["directory", "apply", "directory.toml"]);
}

fn site(app: &str, other: &str) -> Site {
    site_with("", app, other)
}

/// With these settings of webhooks too.
fn site_with(webhooks: &str, app: &str, other: &str) -> Site {
    let site = Site::new(&format!("{SETTINGS}{ALLOWED}{webhooks}"));
    apply(&site, app, other);
    site
}

/// Answers with a status that can be changed, 500 at first.
async fn receiver() -> (HookReceiver, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(500));
    let answered = status.clone();
    let receiver = HookReceiver::scripted(move |_| HookAnswer::Status(answered.load(Ordering::SeqCst)));
    (receiver.await, status)
}

async fn send(api: &Api, to: &str) -> i64 {
    let request = json!({"To": [{"Address": to}], "Subject": "hello", "Text": "the text"});
    let sent = api.ok("Send", &request).await;
    sent["Submissions"][0]["QueueMsgID"].as_i64().expect("an id")
}

async fn arrive(serve: &Serve) {
    let mut client = SmtpClient::ready(serve.address("SMTP")).await;
    client.envelope("friend@remote.example", &["app@example.com"]).await;
    client.write(b"From: friend@remote.example\r\nSubject: hi\r\n\r\nhello\r\n.\r\n").await;
    let reply = client.reply().await;
    assert!(reply.starts_with("250"), "{reply}");
}

/// The hook as `hooks show` has it, once it was called so often.
async fn called(site: &Site, id: u64, calls: usize) -> Value {
    shown_when(site, &["hooks", "show"], id, |hook| hook["attempts"] == calls).await
}

/// The hook as `hooks retired show` has it.
async fn retired(site: &Site, id: u64) -> Value {
    shown_when(site, &["hooks", "retired", "show"], id, |_| true).await
}

async fn shown_when(site: &Site, command: &[&str], id: u64, wanted: impl Fn(&Value) -> bool) -> Value {
    let id = id.to_string();
    eventually("the hook to be so", async || {
        let done = site.run(&[command, &[&id, "--json"]].concat());
        match serde_json::from_str(&done.stdout) {
            Ok(hook) if wanted(&hook) => Ok(hook),
            _ => Err(format!("{done:?}")),
        }
    })
    .await
}

fn list(site: &Site, command: &[&str], args: &[&str]) -> Vec<u64> {
    let list = site.json(&[command, args].concat());
    list["hooks"].as_array().expect("hooks").iter().map(|hook| hook["id"].as_u64().expect("an id")).collect()
}

fn changed(site: &Site, args: &[&str]) -> u64 {
    site.json(&[&["hooks"], args].concat())["changed"].as_u64().expect("a number")
}

#[tokio::test]
async fn every_filter_finds_its_hooks_and_every_action_does_what_it_says() {
    let (app, app_status) = receiver().await;
    let (other, _) = receiver().await;
    let site = site(&format!("{}{}", outgoing(&app.url()), incoming(&app.url())), &outgoing(&other.url()));
    let mut serve = site.serve().await;
    let api = |account: &str| serve.api(&format!("{account}@example.com"), "correct horse");
    let failed = send(&api("app"), "a@refuse.example").await;
    called(&site, 1, 1).await;
    send(&api("app"), "b@later.example").await;
    called(&site, 2, 1).await;
    send(&api("other"), "a@refuse.example").await;
    called(&site, 3, 1).await;
    arrive(&serve).await;
    called(&site, 4, 1).await;
    assert_eq!(changed(&site, &["schedule", "--at", "2099-01-01T00:00:00Z", "3"]), 1);

    let (app_url, other_url) = (app.url(), other.url());
    for (args, expected) in [
        (&[][..], &[1, 2, 3, 4][..]),
        (&["2", "--id", "4", "--id", "99"], &[2, 4]),
        (&["--account", "app"], &[1, 2, 4]),
        (&["--kind", "outgoing"], &[1, 2, 3]),
        (&["--kind", "incoming"], &[4]),
        (&["--event", "failed"], &[1, 3]),
        (&["--event", "delayed"], &[2]),
        (&["--event", "delivered"], &[]),
        (&["--recipient", "A@refuse.example"], &[1, 3]),
        (&["--recipient", "app@example.com"], &[4]),
        (&["--url", &app_url], &[1, 2, 4]),
        (&["--url", "http://127.0.0.1:"], &[1, 2, 3, 4]),
        (&["--url", &other_url[..other_url.len() - 1]], &[3]),
        (&["--submitted", "<1h"], &[1, 2, 3, 4]),
        (&["--submitted", ">1h"], &[]),
        (&["--next-attempt", ">now"], &[1, 2, 3, 4]),
        (&["--next-attempt", "<2h"], &[1, 2, 4]),
        (&["--account", "app", "--event", "failed"], &[1]),
        (&["--desc", "--limit", "2"], &[4, 3]),
        (&["--limit", "2", "--after", "1"], &[2, 3]),
        (&["--desc", "--after", "2"], &[1]),
        (&["--sort", "submitted"], &[1, 2, 3, 4]),
        (&["--sort", "created", "--desc"], &[4, 3, 2, 1]),
    ] {
        assert_eq!(list(&site, &["hooks", "list"], args), expected, "{args:?}");
    }
    assert_eq!(site.json(&["hooks", "list", "--limit", "2"])["next"], "2");
    assert!(site.ok(&["hooks", "list", "--limit", "2"]).contains("the list goes on: --after 2"));
    assert!(site.fails(&["hooks", "list", "--account", "nobody"], 1).contains("there is no account"));
    assert!(site.fails(&["hooks", "list", "--after", "x"], 1).contains("goes on"));
    for wrong in [
        &["--event", "opened"][..],
        &["--kind", "both"],
        &["--submitted", "1h"],
        &["--limit", "0"],
        &["--sort", "url"],
    ] {
        site.fails(&[&["hooks", "list"], wrong].concat(), 2);
    }
    for action in [&["schedule", "--now"][..], &["cancel"], &["retired", "resend"]] {
        let said = site.fails(&[&["hooks"], action].concat(), 2);
        assert!(said.contains("--all"), "{action:?}: {said}");
        site.fails(&[&["hooks"], action, &["--all", "--account", "app"]].concat(), 2);
    }
    site.fails(&["hooks", "schedule", "--all"], 2);

    let text = site.ok(&["hooks", "show", "1"]);
    for expected in [
        "event         failed",
        "answer        550 5.7.1 not from here",
        "recipient     a@refuse.example",
        "subject       hello",
        "after 1 call failed; the last said: status 500",
        "failed: status 500",
        "answer: thanks",
        &app_url,
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert_eq!(site.json(&["hooks", "show", "1"])["queue_id"], failed);
    let text = site.ok(&["hooks", "show", "4"]);
    assert!(text.contains("kind          incoming") && text.contains("from          friend@"), "{text}");
    assert!(site.ok(&["hooks", "list"]).contains("back-off: status 500"));
    for shown in [text, site.ok(&["hooks", "list", "--json"]), site.ok(&["hooks", "show", "1", "--json"])] {
        assert!(!shown.contains("hook-secret"), "{shown}");
    }

    assert_eq!(changed(&site, &["schedule", "--plus", "1h30m", "3"]), 1);
    assert_eq!(called(&site, 3, 1).await["next_attempt"], "2099-01-01T01:30:00Z");
    app_status.store(204, Ordering::SeqCst);
    assert_eq!(changed(&site, &["schedule", "--now", "--account", "app"]), 3);
    for id in [1, 2, 4] {
        let hook = retired(&site, id).await;
        assert_eq!((&hook["outcome"], &hook["success"]), (&json!("succeeded"), &json!(true)));
        assert_eq!((&hook["attempts"], &hook["results"][1]["status"]), (&json!(2), &json!(204)));
    }
    assert_eq!(site.ok(&["hooks", "cancel", "--event", "failed"]), "1 changed\n");
    assert_eq!(site.ok(&["hooks", "list"]), "no hooks\n");
    assert_eq!(site.ok(&["hooks", "cancel", "--all"]), "0 changed\n");
    for action in [&["hooks", "schedule", "--now"][..], &["hooks", "cancel"]] {
        let said = site.fails(&[action, &["9999"]].concat(), 1);
        assert!(said.contains("not found among the hooks: 9999; see: postrider hooks list"), "{said}");
    }
    assert_eq!(retired(&site, 3).await["outcome"], "canceled");
    assert_eq!(other.calls().len(), 1, "it was called no more");

    for (args, expected) in [
        (&[][..], &[1, 2, 3, 4][..]),
        (&["1", "3"], &[1, 3]),
        (&["--success"], &[1, 2, 4]),
        (&["--success=false"], &[3]),
        (&["--outcome", "succeeded"], &[1, 2, 4]),
        (&["--outcome", "canceled"], &[3]),
        (&["--outcome", "failed"], &[]),
        (&["--event", "failed", "--success"], &[1]),
        (&["--kind", "incoming"], &[4]),
        (&["--account", "other"], &[3]),
        (&["--desc", "--limit", "1"], &[4]),
    ] {
        assert_eq!(list(&site, &["hooks", "retired", "list"], args), expected, "{args:?}");
    }
    site.fails(&["hooks", "retired", "list", "--next-attempt", ">now"], 2);
    let said = site.fails(&["hooks", "show", "1"], 1);
    assert!(said.contains("postrider hooks retired show 1"), "{said}");
    assert!(site.fails(&["hooks", "retired", "show", "99"], 1).contains("history has no hook 99"));

    serve.terminate().await;
    assert_eq!(list(&site, &["hooks", "list"], &[]), [0; 0]);
    assert_eq!(list(&site, &["hooks", "retired", "list"], &["--success"]), [1, 2, 4]);
    assert!(site.ok(&["hooks", "retired", "show", "3"]).contains("outcome       canceled"));
    for action in [&["cancel", "1"][..], &["retired", "resend", "1"], &["test", "--account", "app"]] {
        assert!(site.fails(&[&["hooks"], action].concat(), 1).contains("no server runs"));
    }
    let log = serve.log();
    assert!(!log.contains("hook-secret"), "{log}");
}

#[tokio::test]
async fn what_is_told_again_has_the_same_webhook_id_and_goes_where_the_account_wants_it_now() {
    let (first, second) = (HookReceiver::start().await, HookReceiver::start().await);
    let site = site(&format!("{}{}", outgoing(&first.url()), incoming(&first.url())), "");
    let serve = site.serve().await;
    let api = serve.api("app@example.com", "correct horse");
    let message = send(&api, "a@refuse.example").await;
    retired(&site, 1).await;
    arrive(&serve).await;
    retired(&site, 2).await;

    apply(&site, &format!("{}{}", outgoing(&second.url()), incoming(&second.url())), "");
    let resent = site.json(&["hooks", "retired", "resend", "--kind", "outgoing"]);
    assert_eq!(resent, json!({"hooks": [{"id": 1, "new_id": 3}], "without_webhook": 0}));
    let again = retired(&site, 3).await;
    assert_eq!((&again["resent_of"], &again["url"]), (&json!(1), &json!(second.url())));
    assert!(site.ok(&["hooks", "retired", "show", "3"]).contains("tells again   hook 1"));
    let told = first.call_where("the event", |body| body["QueueMsgID"] == message).await;
    let retold = second.call_where("the event again", |body| body["QueueMsgID"] == message).await;
    assert_eq!(told.header("webhook-id"), retold.header("webhook-id"));
    assert_eq!((told.header("X-Mox-Webhook-ID"), retold.header("X-Mox-Webhook-ID")), ("1", "3"));
    assert_eq!(retold.header("Authorization"), BEARER);

    // The same once more, of what was told again: it is still the first that it tells.
    let said = site.ok(&["hooks", "retired", "resend", "2", "3"]);
    assert_eq!(said, "hook 2 is told again by hook 4\nhook 3 is told again by hook 5\n2 to be told again\n");
    assert_eq!(retired(&site, 5).await["resent_of"], 1);
    retired(&site, 4).await;
    let [arrived, retold] = [&first, &second].map(|receiver| {
        let calls = receiver.calls();
        calls.into_iter().find(|call| call.json()["Subject"] == "hi").expect("it was told")
    });
    assert_eq!(arrived.body, retold.body);

    apply(&site, &outgoing(&second.url()), "");
    let partly = site.run(&["hooks", "retired", "resend", "1", "2", "--json"]);
    assert_eq!(partly.status, 1, "{partly:?}");
    assert!(partly.stderr.contains("no webhook for 1 hook any more"), "{partly:?}");
    let partly: Value = serde_json::from_str(&partly.stdout).expect("JSON");
    assert_eq!(partly, json!({"hooks": [{"id": 1, "new_id": 6}], "without_webhook": 1}));
    let said = site.fails(&["hooks", "retired", "resend", "2"], 1);
    assert!(said.contains("no webhook for 1 hook any more") && said.contains("directory apply"), "{said}");
    let absent = site.run(&["hooks", "retired", "resend", "1", "--id", "99"]);
    assert_eq!((absent.status, &*absent.stdout), (1, "hook 1 is told again by hook 7\n1 to be told again\n"));
    assert!(absent.stderr.contains("not found among the retired hooks: 99"), "{absent:?}");
    let nothing = site.ok(&["hooks", "retired", "resend", "--event", "delayed"]);
    assert_eq!(nothing, "0 to be told again\n");
}

#[tokio::test]
async fn a_newer_event_takes_the_place_of_the_pending_one_and_history_says_which() {
    let (receiver, _) = receiver().await;
    let site = site(&outgoing(&receiver.url()), "");
    let serve = site.serve().await;
    let message = send(&serve.api("app@example.com", "correct horse"), "a@later.example").await;
    called(&site, 1, 1).await;
    site.ok(&["queue", "schedule", "--now", &message.to_string()]);
    called(&site, 2, 1).await;
    let first = retired(&site, 1).await;
    assert_eq!((&first["outcome"], &first["superseded_by"]), (&json!("superseded"), &json!(2)));
    assert!(site.ok(&["hooks", "retired", "show", "1"]).contains("superseded by hook 2"));
    assert!(site.ok(&["hooks", "retired", "list"]).contains("superseded by hook 2"));
    assert_eq!(list(&site, &["hooks", "retired", "list"], &["--outcome", "superseded"]), [1]);
}

#[tokio::test]
async fn where_every_event_is_wanted_each_waits_for_the_one_before_it() {
    let (receiver, status) = receiver().await;
    let webhook = format!("outgoing_webhook = {{ url = \"{}\", every_event = true }}\n", receiver.url());
    let site = site(&webhook, "");
    let serve = site.serve().await;
    let message = send(&serve.api("app@example.com", "correct horse"), "a@later.example").await;
    called(&site, 1, 1).await;
    for id in [2, 3] {
        site.ok(&["queue", "schedule", "--now", &message.to_string()]);
        called(&site, id, 0).await;
    }
    let waiting = |id: u64| site.json(&["hooks", "show", &id.to_string()]);
    for (id, waits_for, followed_by) in
        [(1, json!(null), json!(2)), (2, json!(1), json!(3)), (3, json!(2), json!(null))]
    {
        let hook = waiting(id);
        assert_eq!((&hook["waits_for"]["hook"], &hook["followed_by"]), (&waits_for, &followed_by), "{id}");
    }
    let text = site.ok(&["hooks", "show", "2"]);
    assert!(text.contains("waits for     hook 1, which") && text.contains("followed by   hook 3"), "{text}");

    // Called now, the second and third still wait for the first, whose call fails again.
    assert_eq!(changed(&site, &["schedule", "--now", "--all"]), 3);
    called(&site, 1, 2).await;
    assert_eq!(receiver.calls().len(), 2);
    status.store(200, Ordering::SeqCst);
    assert_eq!(changed(&site, &["schedule", "--now", "1"]), 1);
    retired(&site, 3).await;
    let attempts: Vec<_> = receiver.bodies().iter().map(|body| body["Attempt"].as_i64()).collect();
    assert_eq!(attempts, [1, 1, 1, 2, 3].map(Some), "the events come in order");
}

#[tokio::test]
async fn a_call_behind_a_receiver_that_hangs_says_that_it_waits_for_its_turn() {
    let receiver = HookReceiver::scripted(|_| HookAnswer::Hang).await;
    let site = site(&outgoing(&receiver.url()), "");
    let serve = site.serve().await;
    let api = serve.api("app@example.com", "correct horse");
    send(&api, "a@refuse.example").await;
    shown_when(&site, &["hooks", "show"], 1, |hook| hook["waits_for"]["gate"] == "under-way").await;
    send(&api, "b@refuse.example").await;
    let behind = called(&site, 2, 0).await;
    assert_eq!(behind["waits_for"], json!({"gate": "busy", "running": 1, "concurrency": 1}));
    let text = site.ok(&["hooks", "list"]);
    for expected in ["under way", "its turn: 1 of 1 calls to its URL under way"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(site.ok(&["hooks", "show", "1"]).contains("its call is under way"));
    assert!(site.ok(&["hooks", "show", "2"]).contains("its URL gets 1 call at a time now"));
    assert_eq!(changed(&site, &["schedule", "--plus", "1h", "2"]), 1);
    assert_eq!(called(&site, 2, 0).await["waits_for"]["gate"], "scheduled");
}

// The receiver answers while the command keeps its thread waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_call_shows_request_and_answer() {
    let (receiver, status) = receiver().await;
    let both = format!("{}{}", outgoing(&receiver.url()), incoming(&receiver.url()));
    let site = site_with("timeout = \"2s\"\n", &both, "");
    let serve = site.serve().await;
    status.store(202, Ordering::SeqCst);
    let text = site.ok(&["hooks", "test", "--account", "app"]);
    for expected in [
        &format!("POST {}\n", receiver.url())[..],
        "Content-Type: application/json; charset=utf-8\n",
        "Authorization: ***\n",
        "webhook-signature: v1,",
        "\"Event\": \"delivered\"",
        "succeeded: status 202, after ",
        "thanks\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("hook-secret"), "{text}");
    assert_eq!(receiver.calls()[0].header("Authorization"), BEARER);

    let shown = site.json(&["hooks", "test", "--account", "app", "--kind", "incoming"]);
    assert_eq!((&shown["success"], &shown["status"]), (&json!(true), &json!(202)));
    assert_eq!(shown["response"], "thanks");
    assert!(shown["headers"].as_array().expect("headers").contains(&json!(["Authorization", "***"])));
    let call = &receiver.calls()[1];
    assert_eq!(shown["body"].as_str().map(str::as_bytes), Some(&call.body[..]));
    assert_eq!(call.json()["Subject"], "A test");

    // Elsewhere the authorization is not for them, and an account without a webhook will do.
    let secret = site.ok(&["account", "webhook-secret", "other"]);
    site.ok(&["hooks", "test", "--account", "other", "--url", &receiver.url()]);
    let call = &receiver.calls()[2];
    assert!(call.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("authorization")));
    assert!(verifies(call, secret.trim()));

    let target = HookReceiver::start().await;
    let url = target.url();
    let redirecting = HookReceiver::scripted(move |_| HookAnswer::Redirect(url.clone())).await;
    let hanging = HookReceiver::scripted(|_| HookAnswer::Hang).await;
    status.store(403, Ordering::SeqCst);
    for (url, shown, error) in [
        (receiver.url(), 403, "status 403"),
        (redirecting.url(), 307, "redirects are not followed"),
        (hanging.url(), 0, "timeout: no answer in time"),
        ("http://10.0.0.1/hook".to_owned(), 0, "webhooks.allow_networks"),
    ] {
        let done = site.run(&["hooks", "test", "--account", "app", "--url", &url, "--json"]);
        assert_eq!(done.status, 1, "{done:?}");
        assert!(done.stderr.contains(error), "{done:?}");
        let call: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!((&call["success"], &call["status"]), (&json!(false), &json!(shown)), "{url}");
        assert!(call["error"].as_str().is_some_and(|text| text.contains(error)), "{call}");
        let text = site.run(&["hooks", "test", "--account", "app", "--url", &url]).stdout;
        assert!(text.starts_with(&format!("POST {url}\n")) && text.contains(error), "{text}");
    }
    assert!(target.calls().is_empty(), "the target of the redirect was called");

    site.fails(&["hooks", "test", "--account", "app", "--url", "ftp://127.0.0.1/"], 2);
    site.fails(&["hooks", "test"], 2);
    assert!(site.fails(&["hooks", "test", "--account", "nobody"], 1).contains("postrider account list"));
    let said = site.fails(&["hooks", "test", "--account", "other"], 1);
    assert!(said.contains("configure one, or give a URL"), "{said}");
    assert_eq!(site.ok(&["hooks", "list"]), "no hooks\n");
    assert_eq!(site.ok(&["hooks", "retired", "list"]), "no hooks\n", "nothing of it is kept");
    let log = serve.log();
    assert!(!log.contains("hook-secret") && !log.contains("whsec_"), "{log}");
}

#[tokio::test]
async fn a_test_call_of_a_server_for_production_is_for_public_addresses_only() {
    let receiver = HookReceiver::start().await;
    let site = Site::new(SETTINGS);
    apply(&site, &outgoing(&receiver.url()), "");
    let _serve = site.serve().await;
    let said = site.fails(&["hooks", "test", "--account", "app"], 1);
    assert!(said.contains("127.0.0.1 is not a public address"), "{said}");
    assert!(said.contains("webhooks.allow_networks"), "{said}");
    assert!(receiver.calls().is_empty());
}

// The receiver answers while the command keeps its thread waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_replaced_with_an_overlap_in_which_both_sign() {
    let receiver = HookReceiver::start().await;
    let site = site(&outgoing(&receiver.url()), "");
    let serve = site.serve().await;
    let command = &["account", "webhook-secret", "app"][..];
    let rotate = |more: &[&str]| site.ok(&[command, &["--rotate"], more].concat()).trim().to_owned();
    let call = || {
        site.ok(&["hooks", "test", "--account", "app"]);
        receiver.calls().pop().expect("a call")
    };
    let show = || site.json(&["account", "show", "app"])["older_webhook_secret_until"].clone();

    let first = site.ok(command).trim().to_owned();
    assert!(verifies(&call(), &first));
    assert_eq!(show(), Value::Null);

    let second = rotate(&[]);
    assert_ne!(first, second);
    let overlapping = call();
    assert_eq!(overlapping.header("webhook-signature").split(' ').count(), 2);
    assert!(verifies(&overlapping, &first) && verifies(&overlapping, &second));
    let shown = site.json(command);
    assert_eq!(shown["secret"], second);
    assert_eq!(shown["older_signs_until"], show());
    assert_in_hours(&show(), 24);
    assert!(site.run(command).stderr.contains("the secret before it signs as well until 2"));
    assert!(site.ok(&["account", "show", "app"]).contains("signs as well until 2"));

    let third = rotate(&["--overlap", "100ms"]);
    let after = eventually("the older secret to sign no more", async || {
        let call = call();
        match call.header("webhook-signature").split(' ').count() {
            1 => Ok(call),
            several => Err(format!("{several} signatures")),
        }
    })
    .await;
    assert!(verifies(&after, &third));
    assert!(!verifies(&after, &second) && !verifies(&after, &first));
    assert_eq!(show(), Value::Null);

    let fourth = rotate(&["--overlap", "0s"]);
    let at_once = call();
    assert!(verifies(&at_once, &fourth) && !verifies(&at_once, &third));

    let given = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
    let read = [command, &["--rotate", "--stdin"]].concat();
    assert_eq!(site.ok_with(&read, &format!("{given}\n")).trim(), given);
    assert!(verifies(&call(), &given) && verifies(&call(), &fourth));
    for (input, problem) in [
        (&given[..], "nothing was changed"),
        ("", "no webhook secret on standard input"),
        ("whsec_c2hvcnQ=", "24 to 64 bytes"),
    ] {
        let done = site.run_with(&read, input);
        assert_eq!(done.status, 1, "{done:?}");
        assert!(done.stderr.contains(problem) && !done.stderr.contains("c2hvcnQ"), "{done:?}");
    }
    for wrong in [&["--rotate", "--overlap", "31d"][..], &["--overlap", "1h"], &["--stdin"]] {
        site.fails(&[command, wrong].concat(), 2);
    }
    assert!(site.fails(&["account", "webhook-secret", "nobody"], 1).contains("there is no account"));

    // A directory file does the same, with the usual overlap.
    let filed = format!("whsec_{}", BASE64_STANDARD.encode([8; 24]));
    apply(&site, &format!("{}webhook_secret = \"{filed}\"\n", outgoing(&receiver.url())), "");
    assert!(verifies(&call(), &filed) && verifies(&call(), &given));
    assert_in_hours(&show(), 24);
    let log = serve.log();
    for secret in [first, second, third, fourth, given, filed] {
        assert!(!log.contains(secret.trim_start_matches("whsec_")), "{log}");
    }
}

/// Whether both libraries of Standard Webhooks take the call for one that is signed with that secret.
fn verifies(call: &Call, secret: &str) -> bool {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Map<_, _> =
        names.map(|name| (name.to_owned(), call.header(name).into())).into_iter().collect();
    let case = json!({"secret": secret, "headers": headers, "body": BASE64_STANDARD.encode(&call.body)});
    let [python, node] = ["check_webhook.py", "check_webhook.js"].map(|script| verdict(script, &case));
    for fault in [&python, &node].into_iter().filter_map(|verdict| verdict.as_ref().err()) {
        assert!(fault.contains("No matching signature found"), "{fault}");
    }
    assert_eq!(python.is_ok(), node.is_ok(), "{python:?} {node:?}");
    python.is_ok()
}

#[track_caller]
fn assert_in_hours(time: &Value, hours: i64) {
    let time: jiff::Timestamp = time.as_str().and_then(|text| text.parse().ok()).expect("a time");
    let away = time.duration_since(jiff::Timestamp::now());
    assert!((hours * 3600 - 120..=hours * 3600).contains(&away.as_secs()), "{time}");
}

#[tokio::test]
async fn a_message_that_a_person_drops_is_told_as_canceled() {
    let (app, status) = receiver().await;
    status.store(204, Ordering::SeqCst);
    let site = site(&outgoing(&app.url()), "");
    let serve = site.serve().await;
    let id = send(&serve.api("app@example.com", "correct horse"), "b@later.example").await;
    app.event("delayed", id).await;
    site.ok(&["queue", "drop", &id.to_string()]);
    let told = app.event("canceled", id).await;
    assert_eq!((&told["Attempt"], &told["Suppressing"]), (&json!(0), &json!(false)));
    assert_eq!((&told["Recipient"], &told["DSN"]), (&json!("b@later.example"), &json!(false)));
}

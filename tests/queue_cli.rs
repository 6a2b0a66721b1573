//! `postrider queue`: filters, pages, actions, hold rules, and what a message waits for.

use crate::harness::{Action, Api, Serve, Site, SmtpPeer, Verb, eventually};
use serde_json::{Value, json};

/// Nobody answers at the name server, so that direct delivery is put off.
const SETTINGS: &str = "hostname = \"mail.example.com\"\n\
    [dns]\nnameservers = [\"127.0.0.1:1\"]\n\
    [[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\n\
    [[transports]]\nname = \"refuse\"\nfail = { code = 550, text = \"5.7.1 not from here\" }\n\
    [[transports]]\nname = \"later\"\nfail = { code = 451, text = \"4.7.1 greylisted\" }\n\
    [[routes]]\ntransport = \"refuse\"\nto_domains = [\"refuse.example\"]\n\
    [[routes]]\ntransport = \"later\"\nto_domains = [\"later.example\"]\n";

/// A site with the accounts app@example.com and other@other.example, with `more` settings.
fn site(more: &str) -> Site {
    let site = Site::new(&format!("{SETTINGS}{more}"));
    for (account, domain) in [("app", "example.com"), ("other", "other.example")] {
        site.ok(&["domain", "add", domain]);
        let address = format!("{account}@{domain}");
        site.ok_with(&["account", "add", account, "--address", &address], "correct horse\n");
    }
    site
}

fn app(serve: &Serve) -> Api {
    serve.api("app@example.com", "correct horse")
}

async fn send(api: &Api, to: &str, options: Value) -> i64 {
    send_to(api, &[to], options).await[0]
}

async fn send_to(api: &Api, to: &[&str], mut options: Value) -> Vec<i64> {
    options["To"] = to.iter().map(|address| json!({"Address": address})).collect();
    options["Subject"] = "hello".into();
    options["Text"] = "the text".into();
    let sent = api.ok("Send", &options).await;
    let ids = sent["Submissions"].as_array().expect("submissions").iter();
    ids.map(|submission| submission["QueueMsgID"].as_i64().expect("an id")).collect()
}

fn ids(list: &Value) -> Vec<i64> {
    list["messages"].as_array().expect("messages").iter().map(|m| m["id"].as_i64().expect("an id")).collect()
}

fn list(site: &Site, args: &[&str]) -> Vec<i64> {
    ids(&site.json(&[&["queue", "list", "--sort", "submitted"], args].concat()))
}

/// The message as `queue show` has it.
fn queued(site: &Site, id: i64) -> Value {
    site.json(&["queue", "show", &id.to_string()])
}

fn changed(site: &Site, args: &[&str]) -> i64 {
    site.json(args)["changed"].as_i64().expect("a number")
}

async fn retired(site: &Site, id: i64) -> Value {
    eventually("the message to leave the queue", async || {
        let done = site.run(&["queue", "retired", "show", &id.to_string(), "--json"]);
        if done.status == 0 {
            Ok(serde_json::from_str(&done.stdout).expect("JSON"))
        } else {
            Err(done.stderr)
        }
    })
    .await
}

#[tokio::test]
async fn every_filter_finds_its_messages() {
    let site = site("");
    let mut serve = site.serve().await;
    site.ok(&["queue", "hold-rules", "add", "--all"]);
    let other = serve.api("other@other.example", "correct horse");
    let first = send(&app(&serve), "friend@remote.example", json!({})).await;
    let release = "2099-01-01T00:00:00Z";
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let second = send(&other, "friend@remote.example", json!({"FutureRelease": soon.to_string()})).await;
    let third = send(&app(&serve), "Someone@else.example", json!({})).await;
    assert_eq!(changed(&site, &["queue", "transport", "--set", "later", &third.to_string()]), 1);
    assert_eq!(changed(&site, &["queue", "schedule", "--at", release, &third.to_string()]), 1);
    assert_eq!(changed(&site, &["queue", "release", &third.to_string()]), 1);
    let texts = [first, second].map(|id| id.to_string());
    let [one, two] = texts.each_ref().map(String::as_str);
    for (args, expected) in [
        (&[][..], &[first, second, third][..]),
        (&[one, two], &[first, second]),
        (&["--id", one, "--id", two], &[first, second]),
        (&["--id", "999999"], &[]),
        (&["--account", "app"], &[first, third]),
        (&["--sender", "app@example.com"], &[first, third]),
        (&["--sender", "OTHER@other.example"], &[second]),
        (&["--sender", "<>"], &[]),
        (&["--sender-domain", "other.example"], &[second]),
        (&["--recipient", "friend@remote.example"], &[first, second]),
        (&["--recipient", "someone@else.example"], &[third]),
        (&["--recipient-domain", "else.example"], &[third]),
        (&["--hold"], &[first, second]),
        (&["--hold", "false"], &[third]),
        (&["--hold=true", "--recipient-domain", "else.example"], &[]),
        (&["--submitted", "<1h"], &[first, second, third]),
        (&["--submitted", ">1h"], &[]),
        (&["--submitted", "<now"], &[first, second, third]),
        (&["--submitted", "<2020-01-01T00:00:00Z"], &[]),
        (&["--next-attempt", ">now"], &[second, third]),
        (&["--next-attempt", "<now"], &[first]),
        (&["--next-attempt", ">1h", "--next-attempt", "<3h"], &[second]),
        (&["--next-attempt", ">2098-12-31T00:00:00Z"], &[third]),
        (&["--transport", "later"], &[third]),
        (&["--transport", ""], &[first, second]),
        (&["--account", "app", "--recipient-domain", "remote.example"], &[first]),
        (&["--sort", "next-attempt", "--desc"], &[third, second, first]),
        (&["--sort", "submitted", "--desc", "--limit", "2"], &[third, second]),
    ] {
        // A later --sort takes the place of the first.
        let mut all = vec!["queue", "list"];
        if !args.contains(&"--sort") {
            all.extend(["--sort", "submitted"]);
        }
        assert_eq!(ids(&site.json(&[&all[..], args].concat())), expected, "{args:?}");
    }
    assert!(site.fails(&["queue", "list", "--account", "nobody"], 1).contains("there is no account"));
    for wrong in
        [&["--submitted", "1h"][..], &["--sort", "size"], &["--limit", "0"], &["--recipient", "x"], &["x"]]
    {
        site.fails(&[&["queue", "list"], wrong].concat(), 2);
    }

    serve.terminate().await;
    assert_eq!(list(&site, &["--account", "app"]), [first, third], "the lists read the data themselves");
    assert!(site.ok(&["queue", "show", two]).contains("hold rule 1 (everything) holds it"));
    assert!(site.fails(&["queue", "release", one], 1).contains("no server runs"));
}

#[tokio::test]
async fn pages_of_any_size_make_the_whole_list() {
    let site = site("");
    let serve = site.serve().await;
    site.ok(&["queue", "hold-rules", "add", "--all"]);
    let api = app(&serve);
    let mut sent = Vec::new();
    let recipients: Vec<String> = (0..50).map(|number| format!("n{number}@remote.example")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    for _ in 0..3 {
        sent.extend(send_to(&api, &recipients, json!({})).await);
    }
    for sort in ["submitted", "next-attempt"] {
        for (desc, limit) in [(false, "7"), (true, "7"), (false, "75"), (true, "150"), (false, "1000")] {
            let mut found = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let mut args = vec!["queue", "list", "--sort", sort, "--limit", limit];
                args.extend(desc.then_some("--desc"));
                args.extend(after.iter().flat_map(|key| ["--after", key.as_str()]));
                let page = site.json(&args);
                found.extend(ids(&page));
                let Some(next) = page["next"].as_str() else { break };
                after = Some(next.to_owned());
            }
            if desc {
                found.reverse();
            }
            assert_eq!(found, sent, "{sort} {desc} {limit}");
        }
    }
    let text = site.ok(&["queue", "list", "--limit", "2"]);
    assert!(text.contains("the list goes on: --after "), "{text}");
    let refused = site.fails(&["queue", "list", "--sort", "submitted", "--after", "1.2"], 1);
    assert!(refused.contains("goes on"), "{refused}");
}

#[tokio::test]
async fn every_action_does_what_it_says_and_says_how_much() {
    let peer = SmtpPeer::accepting().await;
    let relay = format!(
        "[[transports]]\nname = \"relay\"\nsmtp = {{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}\n",
        peer.address().port()
    );
    let site = site(&relay);
    let serve = site.serve().await;
    let api = app(&serve);
    site.ok(&["queue", "hold-rules", "add", "--sender-domain", "example.com"]);
    let sent = send_to(&api, &["a@remote.example"; 6], json!({})).await;
    site.ok(&["queue", "hold-rules", "remove", "1"]);
    let id = |place: usize| sent[place].to_string();

    for action in [
        &["hold"][..],
        &["release"],
        &["schedule", "--now"],
        &["transport", "--unset"],
        &["requiretls", "--unset"],
        &["fail"],
        &["drop"],
        &["dump"],
    ] {
        let said = site.fails(&[&["queue"], action].concat(), 2);
        assert!(said.contains("--all"), "{action:?}: {said}");
        site.fails(&[&["queue"], action, &["--all", "--hold"]].concat(), 2);
    }
    site.fails(&["queue", "schedule", "--all"], 2);
    site.fails(&["queue", "schedule", "--now", "--plus", "1h", "--all"], 2);
    assert_eq!(list(&site, &["--hold"]), sent, "nothing was done by them");

    assert_eq!(site.ok(&["queue", "hold", "--all"]), "0 changed\n", "they are held already");
    let at = "2099-01-01T00:00:00Z";
    assert_eq!(changed(&site, &["queue", "schedule", "--all", "--at", at]), 6);
    assert_eq!(changed(&site, &["queue", "schedule", "--plus", "1h30m", &id(0)]), 1);
    assert_eq!(queued(&site, sent[0])["next_attempt"], "2099-01-01T01:30:00Z");
    assert_eq!(queued(&site, sent[1])["next_attempt"], at);
    assert_eq!(changed(&site, &["queue", "release", "--recipient-domain", "remote.example"]), 6);
    assert_eq!(site.ok(&["queue", "hold", &id(0), "--id", &id(1)]), "2 changed\n");
    assert_eq!(queued(&site, sent[0])["hold"], "operator");

    assert_eq!(changed(&site, &["queue", "requiretls", "--set", "false", &id(0)]), 1);
    assert_eq!(queued(&site, sent[0])["require_tls"], false);
    assert_eq!(changed(&site, &["queue", "requiretls", "--unset", &id(0)]), 1);
    assert_eq!(queued(&site, sent[0])["require_tls"], Value::Null);
    let unknown = site.fails(&["queue", "transport", "--set", "nowhere", &id(0)], 1);
    assert!(unknown.contains("the settings have refuse, later, relay"), "{unknown}");

    // By transport and schedule it goes out at once.
    assert_eq!(changed(&site, &["queue", "transport", "--set", "relay", &id(2)]), 1);
    assert_eq!(changed(&site, &["queue", "schedule", "--now", &id(2)]), 1);
    let delivered = retired(&site, sent[2]).await;
    assert_eq!((&delivered["outcome"], &delivered["success"]), (&json!("delivered"), &json!(true)));
    assert_eq!(delivered["results"][0]["code"], 250);
    assert_eq!(peer.deliveries().len(), 1);

    let content = site.ok(&["queue", "dump", &id(0)]);
    assert!(content.contains("Subject: hello\r\n") && content.contains("the text"), "{content}");
    let said = site.fails(&["queue", "dump", &id(0), &id(1)], 2);
    assert!(said.contains("--output"), "{said}");
    std::fs::create_dir(site.path("mail")).expect("a directory");
    site.ok(&["queue", "dump", "--output", "mail", "--hold"]);
    for id in [id(0), id(1)] {
        let written = std::fs::read_to_string(site.path(&format!("mail/{id}.eml"))).expect("a file");
        assert!(written.contains("the text"));
    }
    site.fails(&["queue", "dump", "--output", "mail", "--hold"], 1);

    assert_eq!(changed(&site, &["queue", "drop", &id(3)]), 1);
    assert_eq!(retired(&site, sent[3]).await["outcome"], "canceled");
    assert_eq!(changed(&site, &["queue", "fail", "--reason", "no longer wanted", &id(4)]), 1);
    let failed = retired(&site, sent[4]).await;
    assert_eq!((&failed["outcome"], &failed["suppressing"]), (&json!("failed"), &json!(false)));
    assert_eq!(failed["results"][0]["text"], "no longer wanted");
    assert_eq!(changed(&site, &["queue", "drop", "--all"]), 3);
    assert_eq!(site.ok(&["queue", "list"]), "no messages\n");
    assert_eq!(changed(&site, &["queue", "drop", "--all"]), 0);
    assert_eq!(changed(&site, &["queue", "drop", "--recipient-domain", "remote.example"]), 0);

    let history = |args: &[&str]| ids(&site.json(&[&["queue", "retired", "list"], args].concat()));
    assert_eq!(history(&["--event", "delivered"]), [sent[2]]);
    assert_eq!(history(&["--success"]), [sent[2]]);
    assert_eq!(history(&["--event", "failed"]), [sent[4]]);
    assert_eq!(history(&["--success=false", "--desc", "--limit", "2"]), [sent[5], sent[4]]);
    assert_eq!(history(&["--event", "canceled", &id(3)]), [sent[3]]);
    assert_eq!(history(&["--event", "suppressed"]), [0; 0]);
    let text = site.ok(&["queue", "retired", "list", "--event", "failed"]);
    assert!(text.contains("no longer wanted"), "{text}");
    let text = site.ok(&["queue", "retired", "show", &id(2)]);
    assert!(text.contains("outcome       delivered") && text.contains("attempt 1"), "{text}");
    site.fails(&["queue", "show", &id(2)], 1);
    site.fails(&["queue", "retired", "show", "999999"], 1);
}

#[tokio::test]
async fn an_id_that_is_not_in_the_queue_is_named_and_the_others_are_acted_upon() {
    let site = site("");
    let serve = site.serve().await;
    let id = send(&app(&serve), "a@later.example", json!({})).await;
    let own = id.to_string();
    for action in [
        &["hold"][..],
        &["release"],
        &["schedule", "--plus", "1h"],
        &["transport", "--set", "later"],
        &["requiretls", "--set", "true"],
        &["fail"],
        &["drop"],
    ] {
        let done = site.run(&[&["queue"], action, &["12345", "--id", "12346"]].concat());
        assert_eq!((done.status, &*done.stdout), (1, "0 changed\n"), "{action:?}");
        let expected = "not found among the messages of the queue: 12345, 12346; see: postrider queue list";
        assert!(done.stderr.contains(expected), "{done:?}");
    }
    let done = site.run(&["queue", "hold", "12345", &own, "--json"]);
    assert_eq!(done.status, 1, "{done:?}");
    assert_eq!(serde_json::from_str::<Value>(&done.stdout).expect("JSON"), json!({"changed": 1}));
    assert!(done.stderr.contains("queue: 12345;"), "{done:?}");
    assert_eq!(queued(&site, id)["hold"], "operator");
    assert_eq!(
        site.ok(&["queue", "hold", &own]),
        "0 changed\n",
        "it is held already, and that is no failure"
    );
    let dumped = site.run(&["queue", "dump", &own, "12345"]);
    assert!(dumped.status == 1 && dumped.stdout.contains("Subject: hello"), "{dumped:?}");
    std::fs::create_dir(site.path("mail")).expect("a directory");
    let said = site.fails(&["queue", "dump", &own, "12345", "--output", "mail"], 1);
    assert!(said.contains("1 written to mail") && said.contains("queue: 12345;"), "{said}");
    let said = site.fails(&["queue", "release", &own, "--recipient-domain", "other.example"], 1);
    assert!(said.contains(&format!("queue: {own};")), "{said}");
}

#[tokio::test]
async fn a_hold_rule_holds_what_is_queued_and_what_comes_and_removing_it_releases_nothing() {
    let site = site("");
    let serve = site.serve().await;
    let (api, other) = (app(&serve), serve.api("other@other.example", "correct horse"));
    assert!(site.fails(&["queue", "hold-rules", "add"], 2).contains("--all"));
    site.fails(&["queue", "hold-rules", "add", "--all", "--account", "app"], 2);
    site.fails(&["queue", "hold-rules", "add", "--account", "nobody"], 1);
    assert_eq!(site.ok(&["queue", "hold-rules", "list"]), "no hold rules\n");

    let release =
        json!({"FutureRelease": (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string()});
    let before = send(&api, "a@remote.example", release.clone()).await;
    let unfit = send(&other, "a@remote.example", release.clone()).await;
    let added = site.json(&[
        "queue",
        "hold-rules",
        "add",
        "--account",
        "app",
        "--sender-domain",
        "example.com",
        "--recipient-domain",
        "remote.example",
    ]);
    assert_eq!(added, json!({"id": 1, "held": 1}));
    let after = send(&api, "b@remote.example", release.clone()).await;
    let elsewhere = send(&api, "b@elsewhere.example", release.clone()).await;
    assert_eq!(list(&site, &["--hold"]), [before, after]);
    assert_eq!(list(&site, &["--hold=false"]), [unfit, elsewhere]);
    assert_eq!(queued(&site, after)["hold"], json!({"rule": 1}));
    let text = site.ok(&["queue", "list", "--hold"]);
    assert!(text.contains("hold: rule 1 (account app, from example.com, to remote.example)"), "{text}");

    for (id, args) in [(2, &["--recipient-domain", "elsewhere.example"]), (3, &["--account", "other"])] {
        let added = site.json(&[&["queue", "hold-rules", "add"], &args[..]].concat());
        assert_eq!(added, json!({"id": id, "held": 1}));
    }
    let rules = site.json(&["queue", "hold-rules", "list"]);
    assert_eq!(rules[1]["recipient_domain"], "elsewhere.example");
    assert!(site.ok(&["queue", "hold-rules", "list"]).contains("example.com"));

    let removed = site.json(&["queue", "hold-rules", "remove", "1"]);
    assert_eq!(removed, json!({"hold_rule": 1, "done": "removed"}));
    site.fails(&["queue", "hold-rules", "remove", "1"], 1);
    assert_eq!(list(&site, &["--hold"]), [before, unfit, after, elsewhere]);
    assert!(site.ok(&["queue", "show", &before.to_string()]).contains("which was removed since, holds it"));
    let free = send(&api, "c@remote.example", release).await;
    assert_eq!(list(&site, &["--hold=false"]), [free]);
}

#[tokio::test]
async fn the_list_says_what_each_message_waits_for() {
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::EndOfData => Action::Gate,
        _ => Action::Usual,
    })
    .await;
    let relay = format!(
        "[[transports]]\nname = \"relay\"\nsmtp = {{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}\n\
         [[routes]]\ntransport = \"relay\"\nto_domains = [\"slow.example\"]\n\
         [delivery]\nconcurrency_start = 1\n",
        peer.address().port()
    );
    let site = site(&relay);
    let serve = site.serve().await;
    let api = app(&serve);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let for_later = send(&api, "a@remote.example", json!({"FutureRelease": soon.to_string()})).await;
    let scheduled = send(&api, "b@remote.example", json!({"FutureRelease": soon.to_string()})).await;
    site.ok(&["queue", "schedule", "--plus", "1h", &scheduled.to_string()]);
    let greylisted = send(&api, "a@later.example", json!({})).await;
    let slow = [send(&api, "a@slow.example", json!({})).await, send(&api, "b@slow.example", json!({})).await];
    let gate = |id| queued(&site, id)["waits_for"]["gate"].as_str().expect("a gate").to_owned();
    eventually("the greylisted message to be put off", async || {
        if queued(&site, greylisted)["attempts"] == 1 { Ok(()) } else { Err(gate(greylisted)) }
    })
    .await;
    peer.heard("DATA").await;
    assert_eq!(gate(for_later), "future-release");
    assert_eq!(gate(scheduled), "scheduled");
    assert_eq!(gate(greylisted), "back-off");
    assert_eq!(gate(slow[1]), "busy");
    let text = site.ok(&["queue", "list"]);
    for expected in
        ["FutureRelease", "scheduled", "back-off: 451 4.7.1 greylisted", "pace: 1 of 1 connections at work"]
    {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let text = site.ok(&["queue", "show", &greylisted.to_string()]);
    assert!(text.contains("after 1 attempt failed; the last said: "), "{text}");

    // Held while its attempt runs, the first is sent all the same, and the second is not begun.
    assert_eq!(changed(&site, &["queue", "hold", "--recipient-domain", "slow.example"]), 2);
    peer.open_gate();
    assert_eq!(retired(&site, slow[0]).await["outcome"], "delivered");
    assert_eq!(gate(slow[1]), "hold");
    assert_eq!(peer.deliveries().len(), 1);
    site.ok(&["queue", "release", &slow[1].to_string()]);
    assert_eq!(retired(&site, slow[1]).await["outcome"], "delivered");
}

//! The event log over HTTP: in order, none lost, none twice.

use crate::harness::{
    Action, Answer, Api, Embedded, Load, PASSWORD, Server, SmtpPeer, USER, Verb, account, eventually,
    message, message_to,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

async fn events(api: &Api, query: &str) -> (Vec<Value>, u64) {
    let answer = api.events(query).await.expect("the server answers");
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    parsed(&answer)
}

fn parsed(answer: &Answer) -> (Vec<Value>, u64) {
    let mut answer = answer.json();
    let last = answer["Last"].as_u64().expect("a number");
    let Value::Array(events) = answer["Events"].take() else { panic!("a list: {answer}") };
    (events, last)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["Event"].as_str().expect("a name")).collect()
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["Seq"].as_u64().expect("a number")).collect()
}

/// Waits until the log has so many events.
async fn grown(api: &Api, count: u64) -> Vec<Value> {
    eventually(&format!("{count} events"), async || {
        let (events, last) = events(api, "limit=1000").await;
        if last == count { Ok(events) } else { Err(format!("{:?}", kinds(&events))) }
    })
    .await
}

/// Waits until so many readers wait.
async fn waiting(api: &Api, count: f64) {
    eventually(&format!("{count} readers to wait"), async || {
        let waiting = api.metric("postrider_event_readers_waiting", "").await;
        if waiting == count { Ok(()) } else { Err(format!("{waiting} do")) }
    })
    .await;
}

#[tokio::test]
async fn events_have_the_fields_of_webhooks_and_come_in_order() {
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::Rcpt if moment.line.contains("gone") => Action::Reply("550 5.1.1 no such user"),
        Verb::Rcpt if moment.line.contains("busy") => Action::Reply("451 4.2.1 come back later"),
        _ => Action::Usual,
    })
    .await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let api = server.api();
    assert_eq!(events(&api, "").await, (vec![], 0));
    let mut first = message_to("friend@remote.example");
    first["Extra"] = json!({"Order": "17"});
    let sent = server.send(&first).await;
    grown(&api, 3).await;
    let gone = server.send(&message_to("gone@remote.example")).await.queue_id();
    grown(&api, 6).await;
    server.send(&message_to("gone@remote.example")).await;
    grown(&api, 8).await;
    server.send(&message_to("busy@remote.example")).await;
    let mut log = grown(&api, 11).await;
    assert_eq!(
        kinds(&log),
        [
            "queued",
            "attempted",
            "delivered",
            "queued",
            "attempted",
            "failed",
            "queued",
            "suppressed",
            "queued",
            "attempted",
            "delayed",
        ]
    );
    assert_eq!(seqs(&log), (1..=11).collect::<Vec<_>>());
    for event in &mut log {
        let time = event["Time"].take();
        assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
    }
    assert_eq!(
        log[2],
        json!({
            "Seq": 3, "Time": null, "Event": "delivered", "QueueMsgID": sent.queue_id(),
            "FromID": sent.submissions[0].from_id, "MessageID": sent.message_id,
            "Recipient": "friend@remote.example", "Attempt": 1, "SMTPCode": 250,
            "SMTPEnhancedCode": log[2]["SMTPEnhancedCode"], "Error": log[2]["Error"], "Suppressing": false,
            "DSN": false, "Subject": "hello", "Extra": {"Order": "17"},
        })
    );
    let failed = &log[5];
    assert_eq!(
        (&failed["QueueMsgID"], &failed["SMTPCode"], &failed["SMTPEnhancedCode"], &failed["Suppressing"]),
        (&json!(gone), &json!(550), &json!("5.1.1"), &json!(true))
    );
    assert!(failed["Error"].as_str().is_some_and(|text| text.contains("no such user")), "{failed}");
    assert_eq!((&log[7]["Attempt"], &log[7]["SMTPCode"]), (&json!(0), &json!(0)));
    assert_eq!((&log[10]["SMTPCode"], &log[10]["Attempt"]), (&json!(451), &json!(1)));
}

#[tokio::test]
async fn pages_and_types_leave_nothing_out() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let api = server.api();
    let to: Vec<_> = (0..50).map(|n| json!({"Address": format!("f{n}@remote.example")})).collect();
    server.send(&json!({"To": to, "Text": "hi"})).await;
    let all = grown(&api, 150).await;
    assert_eq!(events(&api, "").await.0, all[..100], "100 unless asked for more");
    for limit in [1, 7, 100, 1000] {
        let (mut read, mut after) = (Vec::new(), 0);
        loop {
            let (page, last) = events(&api, &format!("after={after}&limit={limit}")).await;
            if page.is_empty() {
                assert_eq!(last, after);
                break;
            }
            assert!(page.len() <= limit);
            assert_eq!(page.last().expect("one")["Seq"], last);
            after = last;
            read.extend(page);
        }
        assert_eq!(read, all, "limit {limit}");
    }
    let delivered: Vec<_> = all.iter().filter(|event| event["Event"] == "delivered").cloned().collect();
    let (some, last) = events(&api, "types=delivered&limit=20").await;
    assert_eq!((&some[..], json!(last)), (&delivered[..20], delivered[19]["Seq"].clone()));
    let (rest, last) = events(&api, &format!("types=delivered&after={last}")).await;
    assert_eq!((&rest[..], last), (&delivered[20..], 150));
    assert_eq!(events(&api, "types=delivered,attempted,queued&limit=1000").await.0, all);
    assert_eq!(events(&api, "types=failed").await, (vec![], 150), "a reader gets on all the same");
    assert_eq!(events(&api, "after=150").await, (vec![], 150));
    assert_eq!(events(&api, "after=1000").await, (vec![], 150));
}

#[tokio::test]
async fn a_reader_that_waits_is_answered_as_soon_as_there_is_an_event_that_fits() {
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::EndOfData => Action::Gate,
        _ => Action::Usual,
    })
    .await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let api = server.api();
    let reader = |query: &'static str| {
        let api = api.clone();
        tokio::spawn(async move { events(&api, query).await })
    };
    let begun = Instant::now();
    let (any, delivered) = (reader("wait=60"), reader("wait=60s&types=delivered"));
    waiting(&api, 2.0).await;
    let id = server.send(&message()).await.queue_id();
    let (queued, last) = any.await.expect("it does not panic");
    assert_eq!((kinds(&queued), last), (vec!["queued"], 1));
    waiting(&api, 1.0).await;
    peer.open_gate();
    let (told, last) = delivered.await.expect("it does not panic");
    assert_eq!((kinds(&told), &told[0]["QueueMsgID"], last), (vec!["delivered"], &json!(id), 3));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    waiting(&api, 0.0).await;
    assert_eq!(kinds(&events(&api, "wait=60").await.0).len(), 3, "what is there is not waited for");
}

#[tokio::test]
async fn a_reader_is_answered_with_nothing_when_the_time_is_over() {
    let server = Server::start().await;
    for query in ["wait=300ms", "wait=300ms&types=failed&after=0"] {
        let begun = Instant::now();
        assert_eq!(events(&server.api(), query).await, (vec![], 0));
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_reader_hears_nothing_of_other_accounts() {
    let server = Embedded::builder().account(account("rider")).account(account("other")).start().await;
    let (rider, other) = (server.api(), server.api().login("other@localhost", PASSWORD));
    let reader = tokio::spawn({
        let other = other.clone();
        async move { events(&other, "wait=60").await }
    });
    waiting(&rider, 1.0).await;
    server.send("rider@localhost").await;
    grown(&rider, 3).await;
    assert!(!reader.is_finished(), "what happened to the rider is none of its business");
    let id = other.ok("Send", &message_to("rider@localhost")).await["Submissions"][0]["QueueMsgID"].clone();
    let (told, last) = reader.await.expect("it does not panic");
    // By the time it is awake, there may be more than one.
    assert_eq!((kinds(&told)[0], last), ("queued", told.len() as u64));
    assert!(told.iter().all(|event| event["QueueMsgID"] == id), "{told:?}");
    let log = grown(&other, 3).await;
    assert!(log.iter().all(|event| event["QueueMsgID"] == id), "{log:?}");
    let log = grown(&rider, 3).await;
    assert!(log.iter().all(|event| event["QueueMsgID"] != id), "{log:?}");
}

#[tokio::test]
async fn who_may_not_or_cannot_ask_is_told_why() {
    let server = Server::start().await;
    let api = server.api();
    let nobody = server.get("/api/v1/events").await;
    let wrong = api.clone().login(USER, "wrong").events("").await.expect("the server answers");
    for answer in [nobody, wrong] {
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Basic realm=\"webapi\""));
    }
    for (query, code) in [
        ("after=x", "protocol"),
        ("since=1", "protocol"),
        ("wait=soon", "protocol"),
        ("limit=0", "user"),
        ("limit=1001", "user"),
        ("wait=61", "user"),
        ("types=delivered,bounced", "user"),
    ] {
        let answer = api.events(query).await.expect("the server answers");
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query}");
    }
    let answer = api.events("types=bounced").await.expect("the server answers").json();
    let message = answer["Message"].as_str().expect("a text");
    for name in ["queued", "attempted", "delivered", "delayed", "failed", "suppressed", "unrecognized"] {
        assert!(message.contains(name), "{message}");
    }
    let post = server.request("POST", "/api/v1/events").basic_auth(USER, Some(PASSWORD)).body("x");
    let answer = Answer::of(post).await.expect("the server answers");
    assert_eq!((answer.status, answer.header("allow")), (405, "GET"));
    let foreign = server.request("GET", "/api/v1/events").basic_auth(USER, Some(PASSWORD));
    let foreign =
        Answer::of(foreign.header("Sec-Fetch-Site", "cross-site")).await.expect("the server answers");
    assert_eq!((foreign.status, foreign.code().as_str()), (400, "protocol"));
}

#[tokio::test]
async fn only_so_many_readers_wait() {
    let builder = Embedded::builder().account(account("rider")).account(account("other"));
    let server = builder
        .settings(|settings| {
            settings.limits.event_readers_max = 2;
            settings.limits.event_readers_per_account_max = 1;
        })
        .start()
        .await;
    let (rider, other) = (server.api(), server.api().login("other@localhost", PASSWORD));
    let wait = |api: &Api| {
        let api = api.clone();
        tokio::spawn(async move { events(&api, "wait=60").await.0.len() })
    };
    let first = wait(&rider);
    waiting(&rider, 1.0).await;
    let refused = rider.events("wait=60").await.expect("the server answers");
    assert_eq!((refused.status, refused.code().as_str(), refused.header("retry-after")), (503, "busy", "2"));
    assert_eq!(events(&rider, "").await, (vec![], 0), "who does not wait needs no place");
    let second = wait(&other);
    waiting(&rider, 2.0).await;
    server.send("rider@localhost").await;
    assert!(first.await.expect("it does not panic") > 0);
    other.ok("Send", &message_to("rider@localhost")).await;
    assert!(second.await.expect("it does not panic") > 0);
}

#[tokio::test]
async fn who_waits_does_not_hold_up_the_end_of_the_server() {
    let mut server = Server::start().await;
    let api = server.api();
    let reader = tokio::spawn({
        let api = api.clone();
        async move { events(&api, "wait=60").await }
    });
    waiting(&api, 1.0).await;
    let begun = Instant::now();
    assert!(server.terminate().await.success());
    assert_eq!(reader.await.expect("it does not panic"), (vec![], 0));
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
}

/// Reads on and on, whatever server there is, into a log of its own.
async fn read_on(servers: Arc<Mutex<Option<Api>>>, read: Arc<Mutex<Vec<Value>>>) {
    let mut after = 0;
    loop {
        let api = servers.lock().expect("no holder panics").clone();
        let answer = match api {
            Some(api) => api.events(&format!("after={after}&limit=1000&wait=10")).await.ok(),
            None => None,
        };
        // Without an answer the server is gone, and nothing was read.
        let Some(answer) = answer.filter(|answer| answer.status == 200) else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let (events, last) = parsed(&answer);
        after = last;
        read.lock().expect("no holder panics").extend(events);
    }
}

/// Lets at least so many events be read while messages flow and the server is killed again and again.
async fn read_through_crashes(wanted: usize, crashes: usize) {
    const RECIPIENTS: usize = 20;
    // Queued, attempted, delivered.
    const EVENTS: usize = 3 * RECIPIENTS;
    let begun = Instant::now();
    let peer = SmtpPeer::accepting().await;
    let mut server = Server::builder().deliver_to(&peer).start().await;
    let load = Load::to_many(4, RECIPIENTS);
    let (servers, read) = (Arc::<Mutex<Option<Api>>>::default(), Arc::<Mutex<Vec<Value>>>::default());
    let reader = tokio::spawn(read_on(servers.clone(), read.clone()));
    for round in 0..=crashes {
        load.use_server(server.api());
        *servers.lock().expect("no holder panics") = Some(server.api());
        // PATIENCE is for less.
        for _ in 0..(wanted / EVENTS / (crashes + 1)).div_ceil(50) {
            load.more(50.min(wanted / EVENTS / (crashes + 1) + 1)).await;
        }
        if round < crashes {
            sleep(Duration::from_millis(rand::random_range(0..100))).await;
            server.kill();
            server.restart().await;
        }
    }
    let acknowledged = load.stop().await;
    let read = eventually("all to be read", async || {
        let read = read.lock().expect("no holder panics");
        let delivered = read.iter().filter(|event| event["Event"] == "delivered").count();
        let queued = read.iter().filter(|event| event["Event"] == "queued").count();
        if delivered == queued && delivered >= acknowledged.len() * RECIPIENTS {
            Ok(read.clone())
        } else {
            Err(format!("{queued} were queued, {delivered} delivered"))
        }
    })
    .await;
    reader.abort();
    assert!(read.len() >= wanted, "only {} events", read.len());
    assert_eq!(seqs(&read), (1..=read.len() as u64).collect::<Vec<_>>(), "no gap, and none twice");
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for event in &read {
        let text = |name: &str| event[name].as_str().expect("a text");
        *counts.entry((text("MessageID"), text("Event"))).or_default() += 1;
    }
    for id in &acknowledged {
        for kind in ["queued", "attempted", "delivered"] {
            assert_eq!(counts.get(&(id.as_str(), kind)), Some(&RECIPIENTS), "{kind} of {id}");
        }
    }
    let (again, _) = events(&server.api(), "limit=1000").await;
    assert_eq!(again, read[..again.len()], "the log does not change");
    let (failed, last) = events(&server.api(), "types=failed").await;
    assert!(
        failed.is_empty() && last as usize >= read.len().min(100_000),
        "the whole log was looked at: {last}"
    );
    eprintln!("{} events were read through {crashes} crashes in {:?}", read.len(), begun.elapsed());
}

#[tokio::test]
async fn no_event_is_lost_or_comes_twice_while_messages_flow_and_the_server_is_killed() {
    read_through_crashes(5_000, 4).await;
}

#[tokio::test]
#[ignore = "takes minutes: cargo test --test it -- --ignored --nocapture a_hundred_thousand_events"]
async fn a_hundred_thousand_events_are_read_while_messages_flow_and_the_server_is_killed() {
    read_through_crashes(100_000, 20).await;
}

#[tokio::test]
async fn what_is_past_its_time_leaves_the_log_and_the_rest_keeps_its_numbers() {
    let server = Embedded::builder()
        .account(account("rider"))
        .settings(|settings| {
            settings.retention.events = Duration::from_secs(5);
            settings.retention.sweep_interval = Duration::from_millis(100);
        })
        .start()
        .await;
    let api = server.api();
    server.send("rider@localhost").await;
    let before = grown(&api, 3).await;
    eventually("the first events to be removed", async || {
        let (events, _) = events(&api, "").await;
        if events.is_empty() { Ok(()) } else { Err(format!("{:?}", kinds(&events))) }
    })
    .await;
    server.send("rider@localhost").await;
    let after = grown(&api, 6).await;
    assert_eq!((seqs(&before), seqs(&after)), (vec![1, 2, 3], vec![4, 5, 6]));
    // Whoever had read half of what is gone goes on with what is kept.
    let (rest, last) = events(&api, "after=2").await;
    assert_eq!((seqs(&rest), last), (vec![4, 5, 6], 6));
}

//! What operators see.

use crate::harness::{HookReceiver, Server, eventually, message, message_to};

#[tokio::test]
async fn a_server_at_work_is_healthy_and_ready() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn counters_move_with_what_they_count() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let delivered = server.send(&message()).await.queue_id();
    let failed = server.send(&message_to("permerror@remote.example")).await.queue_id();
    let delayed = server.send(&message_to("temperror@remote.example")).await.queue_id();
    hooks.event("delivered", delivered).await;
    hooks.event("failed", failed).await;
    hooks.event("delayed", delayed).await;
    server.call("MessageGet", &serde_json::json!({"MsgID": 1_000_000})).await;
    let wrong = server.request("POST", "/webapi/v0/Send").basic_auth("rider@localhost", Some("wrong"));
    assert_eq!(crate::harness::Answer::of(wrong).await.unwrap().status, 401);

    let at_least = [
        ("postrider_webapi_calls_total", "method=\"Send\"", 3.0),
        ("postrider_webapi_calls_total", "method=\"MessageGet\"", 1.0),
        ("postrider_webapi_call_duration_seconds_count", "method=\"Send\"", 3.0),
        ("postrider_submissions_total", "way=\"webapi\"", 3.0),
        ("postrider_delivery_attempts_total", "result=\"delivered\",tls=\"none\"", 1.0),
        ("postrider_delivery_attempts_total", "result=\"refused\",tls=\"none\"", 1.0),
        ("postrider_delivery_attempts_total", "result=\"deferred\",tls=\"none\"", 1.0),
        ("postrider_delivery_attempt_duration_seconds_count", "", 3.0),
        ("postrider_messages_retired_total", "", 2.0),
        ("postrider_suppressions_added_total", "source=\"queue\"", 1.0),
        ("postrider_suppressions", "", 1.0),
        ("postrider_queue_messages", "", 1.0),
        ("postrider_smtp_connections_opened_total", "", 1.0),
        ("postrider_smtp_sessions_total", "", 1.0),
        ("postrider_smtp_messages_received_total", "", 1.0),
        ("postrider_webhook_calls_total", "", 3.0),
        ("postrider_webhook_call_duration_seconds_count", "", 3.0),
        ("postrider_store_commit_changes_count", "", 3.0),
        ("postrider_store_commit_duration_seconds_count", "", 3.0),
        ("postrider_store_map_bytes", "", 1.0),
        ("postrider_authentication_failures_total", "", 1.0),
        ("postrider_actors_alive", "", 1.0),
        ("postrider_build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1.0),
    ];
    for (name, labels, least) in at_least {
        eventually(&format!("{name}{{{labels}}} to be at least {least}"), async || {
            let value = server.metric(name, labels).await;
            if value >= least { Ok(()) } else { Err(format!("it is {value}")) }
        })
        .await;
    }
    assert_eq!(server.metric("postrider_panics_total", "").await, 0.0);
}

#[tokio::test]
async fn the_metrics_are_in_the_form_of_prometheus_and_name_no_addresses() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let id = server.send(&message()).await.queue_id();
    hooks.event("delivered", id).await;
    let answer = server.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain"));
    let text = answer.text();
    assert!(!text.contains("remote.example") && !text.contains("rider@"), "{text}");
    let mut described = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(name.starts_with("postrider_") || name.starts_with("process_"), "{line}");
            assert!(described.insert(name, kind).is_none(), "{name} comes twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').expect("a sample and a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = sample.split('{').next().expect("a name");
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(described.contains_key(name) || described.contains_key(base), "{line} has no type");
        }
    }
}

//! The OpenAPI document, judged by others.

use crate::harness::{PASSWORD, Server, USER, judge, judges_program, message};
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test]
async fn the_document_is_valid_and_its_examples_fit() {
    let server = Server::start().await;
    judge("check_openapi.py", &document(&server).await);
}

/// Schemathesis makes hundreds of calls from the document: what the server answers has to be what the document
/// says, and never a failure of the server.
#[tokio::test]
async fn calls_made_from_the_document_are_answered_as_it_says() {
    let server = Server::start().await;
    for _ in 0..16 {
        let mut request = message();
        request["SaveSent"] = json!(true);
        server.send(&request).await;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(judges_program("schemathesis"))
        .arg("run")
        .arg(format!("http://{}/webapi/v0/openapi.json", server.http()))
        .args(["--auth", &format!("{USER}:{PASSWORD}"), "--phases", "examples,coverage,fuzzing"])
        .args(["--checks", CHECKS])
        .args(["--seed", "1", "--max-examples", "40", "--workers", "1", "--generation-database", "none"])
        .args(["--no-color", "--warnings", "off"])
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/schemathesis_hooks.py"))
        .current_dir(&directory)
        .output()
        .expect("schemathesis runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    // What is refused for its form alone tells nothing of the methods.
    let document = document(&server).await;
    let paths = document["paths"].as_object().expect("paths").keys();
    for method in paths.filter_map(|path| path.strip_prefix("/webapi/v0/")) {
        let labels = format!("method=\"{method}\",result=\"ok\"");
        let done = server.metric("postrider_webapi_calls_total", &labels).await;
        assert!(done >= 3.0, "{method} was done {done} times");
    }
}

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

async fn document(server: &Server) -> Value {
    let answer = server.get("/webapi/v0/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

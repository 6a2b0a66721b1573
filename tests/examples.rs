//! The programs of `examples/`, as a reader of them runs them.

use crate::harness::{PASSWORD, Server, USER, eventually};
use serde_json::json;
use std::{
    path::Path,
    process::{Command, Output},
};

const PROGRAMS: [(&str, &str); 2] = [("python3", "send.py"), ("node", "send.mjs")];

#[tokio::test]
async fn the_examples_send_a_message_with_an_attachment() {
    let server = Server::start().await;
    for (id, program) in (1..).zip(PROGRAMS) {
        let output = run(program, &[server.greeting("webapi"), USER, PASSWORD]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("MessageID"), "{program:?}: {output:?}");
        let message = eventually("the message to arrive", async || {
            let answer = server.call("MessageGet", &json!({"MsgID": id})).await;
            if answer.status == 200 { Ok(answer.json()) } else { Err(answer.text()) }
        });
        let message = message.await;
        assert_eq!(message["Message"]["Subject"], "Your report");
        let file = &message["Structure"]["Parts"][1];
        assert_eq!((&file["Filename"], &file["ContentType"]), (&json!("report.csv"), &json!("text/csv")));
        assert_eq!(file["DecodedSize"], "month,sent\n2026-11,1234\n".len());
    }
}

#[tokio::test]
async fn the_examples_fail_with_what_the_server_says() {
    let server = Server::start().await;
    for program in PROGRAMS {
        let output = run(program, &[server.greeting("webapi"), USER, "wrong"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{program:?}: {output:?}");
        assert!(said.contains("401") && said.contains("log in"), "{program:?}: {said}");
    }
}

fn run((interpreter, example): (&str, &str), args: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    Command::new(interpreter)
        .arg(path)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{interpreter}: {error}: run tests/setup"))
}

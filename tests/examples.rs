//! The programs of `examples/`, as a reader of them runs them.

use crate::harness::{PASSWORD, Server, SmtpPeer, USER, eventually, message};
use serde_json::json;
use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Output},
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

/// Kills the program when the test ends.
struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_reader_of_events_goes_on_where_it_was() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let dir = tempfile::TempDir::new().expect("a directory");
    let state = dir.path().join("place");
    let url = format!("http://{}/api/v1/events", server.http());
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/events.py");
    for (round, seqs) in [[1, 2, 3], [4, 5, 6]].into_iter().enumerate() {
        let printed = dir.path().join(format!("printed{round}"));
        let child = Command::new("python3")
            .arg(&example)
            .arg(&state)
            .args([url.as_str(), USER, PASSWORD])
            .stdout(File::create(&printed).expect("room on the disk"))
            .spawn();
        let _reader = Reader(child.expect("python3 runs"));
        server.send(&message()).await;
        let place = seqs[2].to_string();
        let lines = eventually("the events to be printed", async || {
            let printed = fs::read_to_string(&printed).expect("a file");
            match fs::read_to_string(&state) {
                Ok(stored) if stored == place => Ok(printed),
                _ => Err(printed),
            }
        });
        let lines = lines.await;
        let lines: Vec<_> = lines.lines().collect();
        for ((line, seq), kind) in lines.iter().zip(seqs).zip(["queued", "attempted", "delivered"]) {
            assert!(line.starts_with(&format!("{seq} {kind} friend@remote.example")), "{lines:?}");
        }
        assert_eq!(lines.len(), 3, "{lines:?}");
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

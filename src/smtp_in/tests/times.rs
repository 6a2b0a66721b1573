//! How long a client may take. The clock stands still but for what is waited for.

use super::*;
use crate::submission::SubmissionService;

#[actix_web::test]
async fn a_client_that_says_nothing_is_told_so_and_left() {
    let server = TestServer::start(Mode::Serve);
    tokio::time::pause();
    let said = server.drive(1000, b"").await;
    assert_eq!(said.lines().nth(1).map(|line| &line[..9]), Some("421 4.4.2"), "{said}");
}

#[actix_web::test]
async fn a_session_that_never_rests_is_ended_at_last() {
    let server = TestServer::start(Mode::Serve);
    tokio::time::pause();
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let begin = format!("{MAIL}{RCPT}");
    let block = "x\r\n".repeat(12_000);
    // What the client says at first, and then every other minute until it is left, and after how long that is.
    for (first, then, end) in [
        ("", "NOOP\r\n", minutes(60)),
        // A command has five minutes as a whole.
        ("", "N", minutes(5)),
        ("NOOP\r\nMAIL", " ", minutes(5)),
        (&format!("{begin}RCPT"), "x", minutes(5)),
        (&format!("{begin}BDAT 3\r\nx\r\nBDAT"), "1", minutes(5)),
        ("", &format!("{}\r", "N".repeat(1000)), minutes(5)),
        ("", "BDAT 4\r\nNOOP", minutes(60)),
        ("", "MAIL FROM:<>\r\nRSET\r\n", minutes(60)),
        ("", &format!("{begin}RSET\r\n{begin}BDAT 6\r\n\r\nhi\r\nRSET\r\n"), minutes(60)),
        (&begin, "NOOP\r\n", minutes(120)),
        // Content comes at a lowest rate, and before the end of the message then.
        (&begin, "BDAT 3\r\nx\r\n", minutes(7)),
        (&format!("{begin}BDAT 3\r\nx\r\n"), "NOOP\r\n", minutes(5)),
        (&format!("{begin}DATA\r\n"), "x\r\n", minutes(5)),
        (&format!("{begin}BDAT 1000\r\n"), "x\r\n", minutes(5)),
        (&format!("{begin}DATA\r\n{}", "x\r\n".repeat(100_000)), "x\r\n", minutes(5)),
        (&format!("{begin}DATA\r\n"), &block, minutes(120)),
        (&format!("{begin}BDAT 9000000\r\n"), &block, minutes(120)),
    ] {
        let begun = tokio::time::Instant::now();
        let said = server.converse(9_000_000, async |stream| persist(stream, first, then).await).await;
        let (last, lasted) = (said.lines().last().unwrap_or_default(), begun.elapsed());
        let shown = |text: &str| text.chars().take(90).collect::<String>();
        let what = format!("{:?} {:?}", shown(first), shown(then));
        assert!(last.starts_with("421 4.4.2"), "{what}: {last}");
        assert!((end..end + minutes(2)).contains(&lasted), "{what} took {lasted:?}");
    }
}

/// Says something first, and something else every other minute until the server closes; gives all it said.
async fn persist(stream: DuplexStream, first: &str, then: &str) -> String {
    let (mut read, mut write) = tokio::io::split(stream);
    let (mut said, mut buffer) = (String::new(), [0; 1024]);
    write.write_all(format!("EHLO c\r\n{first}").as_bytes()).await.unwrap();
    loop {
        match timeout(Duration::from_secs(120), read.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return said,
            Ok(Ok(count)) => said.push_str(&String::from_utf8_lossy(&buffer[..count])),
            // The server may be gone: what it said is still to be read.
            Err(_) => drop(write.write_all(then.as_bytes()).await),
        }
    }
}

#[actix_web::test]
async fn a_message_that_began_in_time_is_taken_and_no_other_begins() {
    let server = TestServer::start(Mode::Serve);
    tokio::time::pause();
    let client = async |mut stream: DuplexStream| {
        stream.write_all(format!("EHLO c\r\n{MAIL}{RCPT}").as_bytes()).await.unwrap();
        for _ in 0..16 {
            tokio::time::sleep(Duration::from_secs(4 * 60)).await;
            stream.write_all(b"NOOP\r\n").await.unwrap();
        }
        stream.write_all(format!("BDAT 6 LAST\r\n\r\nhi\r\n{MAIL}").as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    };
    let said = server.converse(100_000, client).await;
    let ends: Vec<_> = said.lines().rev().take(2).collect();
    assert!(ends[1].starts_with("250 2.0.0 Stored") && ends[0].starts_with("421 4.4.2"), "{said}");
    assert_eq!(server.inbox("rider").len(), 1);
}

#[actix_web::test]
async fn each_line_of_a_login_has_its_time() {
    let server = TestServer::start(Mode::Serve);
    let service = SubmissionService::new(&server.app, true);
    tokio::time::pause();
    for first in ["AUTH PLAIN\r\n", "AUTH LOGIN\r\ncmlkZXI=\r\n", "AUTH SCRAM-SHA-256\r\n"] {
        let begun = tokio::time::Instant::now();
        let said = converse(&server.app, &service, 0, async |stream| persist(stream, first, "A").await).await;
        assert!(said.contains("\r\n334 "), "{first}: {said}");
        assert!(said.lines().last().is_some_and(|last| last.starts_with("421 4.4.2")), "{first}: {said}");
        let lasted = begun.elapsed().as_secs();
        assert!((300..420).contains(&lasted), "{first} took {lasted} s");
    }
}

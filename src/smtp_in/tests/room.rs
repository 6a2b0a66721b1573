//! What messages may hold in memory while they come.

use super::*;

#[actix_web::test]
async fn a_transfer_ends_when_all_together_hold_too_much() {
    let server = TestServer::start(Mode::Serve);
    let script = format!("EHLO c\r\n{MAIL}{RCPT}DATA\r\n{}", "x\r\n".repeat(30_000));
    let said = server.drive(1000, script.as_bytes()).await;
    assert!(said.lines().last().is_some_and(|line| line.starts_with("421 4.3.1")), "{said}");
    assert!(server.inbox("rider").is_empty());
}

#[actix_web::test]
async fn chunks_count_together_in_what_transfers_hold() {
    let server = TestServer::start(Mode::Serve);
    let chunk = format!("BDAT 40000\r\n{}", "x\r\nx".repeat(10_000));
    let script = format!("EHLO c\r\n{MAIL}{RCPT}{}", chunk.repeat(3));
    let said = server.drive(1000, script.as_bytes()).await;
    assert_eq!(said.lines().last().map(|line| &line[..9]), Some("421 4.3.1"), "{said}");
    // What is refused takes no room.
    let message = "BDAT 6 LAST\r\n\r\nhi\r\n";
    let script = format!("EHLO c\r\n{}{MAIL}{RCPT}{message}QUIT\r\n", chunk.repeat(3));
    let said = server.drive(1000, script.as_bytes()).await;
    assert!(said.contains("250 2.0.0 Stored as ") && said.ends_with("221 2.0.0 Bye\r\n"), "{said}");
}

#[actix_web::test]
async fn a_client_that_holds_all_it_can_keeps_no_other_out() {
    let server = TestServer::with_room(4_000_000, |settings| settings.limits.message_size_max = 1_000_000);
    let begun = async |address: [u8; 4]| {
        let mut client = server.client_from(address).await;
        client.hello().await;
        client.expect(MAIL, "250").await;
        client.expect(RCPT, "250").await;
        client
    };
    let lines = |octets: usize| "x\r\n".repeat(octets / 3);
    let chunk = |octets: usize, last: &str| format!("BDAT {octets}{last}\r\n{}", lines(octets));
    let (greedy, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = begun(greedy).await;
        client.expect(&chunk(900_000, ""), "250 2.0.0 900000 octets").await;
        held.push(client);
    }
    for _ in 0..3 {
        // Half of the room is all it gets, and 64 KiB of each message besides.
        let mut client = begun(greedy).await;
        client.expect("DATA\r\n", "354").await;
        client.expect(&lines(399_999), "421 4.3.1").await;
    }
    for octets in [3_999, 900_000] {
        begun(other).await.expect(&chunk(octets, " LAST"), "250 2.0.0 Stored").await;
    }
    begun(greedy).await.expect(&chunk(3_999, " LAST"), "250 2.0.0 Stored").await;
    for mut client in held {
        client.expect("BDAT 0 LAST\r\n", "250 2.0.0 Stored").await;
    }
    begun(greedy).await.expect(&chunk(399_999, " LAST"), "250 2.0.0 Stored").await;
    assert_eq!(server.inbox("rider").len(), 6);
}

//! Any octets as what a server says, to the reader of replies and to a client with a message.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use postrider_fuzz::pieces;
use smtp::{
    ClientSession, ClientStep, ProtocolError, Recipient, Reply, ReplyParser, Timeouts, Transaction,
    TransactionResult,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, bytes)) = bytes.split_first() else { return };
    let whole = replies(std::iter::once(bytes));
    assert_eq!(whole, replies(pieces(*seed, bytes)));
    for reply in &whole.0 {
        assert!((200..600).contains(&reply.code()) && reply.text().len() <= 8 * 1024);
        assert!(!reply.text().chars().any(|c| c.is_control() && c != '\n'));
        assert!(reply.enhanced().is_none_or(|code| u16::from(code.class()) == reply.code() / 100));
    }
    converse(pieces(*seed, bytes));
});

fn replies<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<ProtocolError>) {
    let mut parser = ReplyParser::new();
    let mut replies = Vec::new();
    for piece in pieces {
        parser.push(piece);
        loop {
            match parser.next_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

/// Sends two messages to that server.
fn converse<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) {
    let mut session = ClientSession::new("mail.example", Timeouts::default());
    let mut begun = 0;
    loop {
        match session.step() {
            ClientStep::Write(slices) => assert!(slices.iter().any(|slice| !slice.is_empty())),
            ClientStep::Read { .. } => match pieces.next() {
                Some(piece) => session.received(piece),
                None => session.peer_closed(),
            },
            ClientStep::StartTls => session.tls_started(),
            ClientStep::Ready if begun == 0 && session.extensions().starttls && !session.is_secure() => {
                session.starttls();
                begun = 1;
            }
            ClientStep::Ready if begun < 3 => {
                session.begin(transaction());
                begun += 1;
            }
            ClientStep::Ready => session.quit(),
            ClientStep::Finished(TransactionResult { recipients }) => assert_eq!(recipients.len(), 2),
            ClientStep::Closed(_) => return,
        }
    }
}

fn transaction() -> Transaction {
    let recipient = |path: &str| Recipient { path: path.into(), ..Recipient::default() };
    Transaction {
        mail_from: "rider@sender.example".into(),
        recipients: vec![recipient("a@remote.example"), recipient("b@remote.example")],
        content: Bytes::from_static(b"Subject: hi\r\n\r\n.\r\nbody\r\n"),
        eight_bit: false,
        smtputf8: false,
        require_tls: false,
        envid: None,
        ret: None,
    }
}

//! Any octets as what a client says, in any pieces: the conversation is the same however they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_fuzz::pieces;
use smtp::{Extensions, Reply, ServerOptions, ServerSession, ServerStep, ServerTimeouts};

const MAX_MESSAGE: usize = 2_000;

/// What was said, and which messages came.
#[derive(Debug, Default, PartialEq)]
struct Conversation {
    said: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, bytes)) = bytes.split_first() else { return };
    let whole = converse(std::iter::once(bytes), false);
    let in_pieces = converse(pieces(*seed, bytes), false);
    assert_eq!(whole, in_pieces);
    converse(pieces(*seed, bytes), true);
});

/// Talks until the client has said everything. `tls`: secures the connection when asked; what was read by then is
/// dropped, so that it matters how the octets were cut.
fn converse<'a>(mut pieces: impl Iterator<Item = &'a [u8]>, tls: bool) -> Conversation {
    let mut session = ServerSession::new(options());
    let mut conversation = Conversation::default();
    loop {
        assert!(session.held() <= MAX_MESSAGE);
        match session.step() {
            ServerStep::Write(bytes) => conversation.said.extend_from_slice(&bytes),
            ServerStep::Read { .. } | ServerStep::Silent { .. } => match pieces.next() {
                Some(piece) => session.received(piece),
                None => session.peer_closed(),
            },
            ServerStep::Mail(mail) => session.answer(judge(&mail.from)),
            ServerStep::Rcpt(rcpt) => match rcpt.path.starts_with('s') {
                true => session.keep_silent(),
                false => session.answer(judge(&rcpt.path)),
            },
            ServerStep::Message(message) => {
                let content = &message.content;
                assert!(content.len() <= MAX_MESSAGE);
                assert!(smtp::check_newlines(content).is_ok());
                assert!(session.envelope().is_some_and(|envelope| !envelope.recipients.is_empty()));
                session.answer(Reply::with_enhanced(
                    if content.len() % 2 == 0 { 250 } else { 451 },
                    0,
                    0,
                    "done",
                ));
                conversation.messages.push(content.to_vec());
            }
            ServerStep::StartTls if tls => session.tls_started(),
            ServerStep::StartTls | ServerStep::Close => return conversation,
        }
    }
}

fn judge(path: &str) -> Reply {
    match path.bytes().next() {
        Some(b'x') => Reply::with_enhanced(550, 1, 1, "no"),
        Some(b'y') => Reply::with_enhanced(421, 3, 2, "not now"),
        _ => Reply::with_enhanced(250, 1, 0, "fine"),
    }
}

fn options() -> ServerOptions {
    ServerOptions {
        hostname: "mx.example".into(),
        max_message_size: MAX_MESSAGE,
        max_recipients: 5,
        max_errors: 20,
        max_idle_commands: 50,
        extensions: Extensions {
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            starttls: true,
            chunking: true,
            dsn: true,
            enhanced_status_codes: true,
            require_tls: true,
            ..Extensions::default()
        },
        timeouts: ServerTimeouts::default(),
    }
}

//! Any octets as what a client says, in any pieces: the conversation is the same however they are cut. With logins
//! too, and then nobody sends a message without one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_fuzz::pieces;
use smtp::{
    AuthAnswer, AuthOffer, AuthQuestion, ChannelBindings, Extensions, Reply, ScramServerKeys, ServerOptions,
    ServerSession, ServerStep, ServerTimeouts, Sha256,
};
use std::num::NonZeroU32;

const MAX_MESSAGE: usize = 2_000;
const MAX_LINE: usize = 200;

/// What was said, and which messages came.
#[derive(Debug, Default, PartialEq)]
struct Conversation {
    said: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, bytes)) = bytes.split_first() else { return };
    for auth in [None, Some(AuthOffer { passwords_without_tls: true, scram: Some(&Weak), max_failures: 5 })] {
        let whole = converse(std::iter::once(bytes), auth.clone(), false);
        let in_pieces = converse(pieces(*seed, bytes), auth.clone(), false);
        assert_eq!(whole, in_pieces);
        converse(pieces(*seed, bytes), auth, true);
    }
});

/// Talks until the client has said everything. `tls`: secures the connection when asked; what was read by then is
/// dropped, so that it matters how the octets were cut.
fn converse<'a>(
    mut pieces: impl Iterator<Item = &'a [u8]>,
    auth: Option<AuthOffer>,
    tls: bool,
) -> Conversation {
    let login_needed = auth.is_some();
    let mut session = ServerSession::new(options(auth));
    let mut conversation = Conversation::default();
    let mut accepted = false;
    loop {
        assert!(session.held() <= MAX_MESSAGE);
        match session.step() {
            ServerStep::Write(bytes) => conversation.said.extend_from_slice(&bytes),
            ServerStep::Read { .. } | ServerStep::Silent { .. } => match pieces.next() {
                Some(piece) => session.received(piece),
                None => session.peer_closed(),
            },
            ServerStep::Auth(question) => {
                let answer = know(question);
                accepted |= answer == AuthAnswer::Accept;
                session.answer_auth(answer);
            }
            // Once accepted, a client of SCRAM still has to end its exchange.
            ServerStep::Mail(_) if login_needed && (!accepted || session.user().is_none()) => {
                panic!("MAIL without a login")
            }
            ServerStep::Mail(mail) => session.answer(judge(&mail.from)),
            ServerStep::Rcpt(rcpt) => match rcpt.path.starts_with('s') {
                true => session.keep_silent(),
                false => session.answer(judge(&rcpt.path)),
            },
            ServerStep::Message(message) => {
                let content = &message.content;
                assert!(content.len() <= MAX_MESSAGE);
                assert!(smtp::check_newlines(content).is_ok());
                assert!(content.split_inclusive(|octet| *octet == b'\n').all(|line| line.len() <= MAX_LINE));
                assert!(session.envelope().is_some_and(|envelope| !envelope.recipients.is_empty()));
                session.answer(Reply::with_enhanced(
                    if content.len() % 2 == 0 { 250 } else { 451 },
                    0,
                    0,
                    "done",
                ));
                conversation.messages.push(content.to_vec());
            }
            ServerStep::StartTls if tls => {
                accepted = false;
                session.tls_started(ChannelBindings { exporter: Some([0; 32]), end_point: Some(vec![0]) });
            }
            ServerStep::StartTls | ServerStep::Close => return conversation,
        }
    }
}

/// Answers for an owner who lets in whose name begins with `u`.
fn know(question: AuthQuestion) -> AuthAnswer {
    let refused = || AuthAnswer::Refuse(Reply::with_enhanced(535, 7, 8, "no"));
    match question {
        AuthQuestion::Password { username, .. } | AuthQuestion::Proven { username } => {
            if username.starts_with('u') { AuthAnswer::Accept } else { refused() }
        }
        AuthQuestion::Keys { .. } => AuthAnswer::Keys {
            keys: ScramServerKeys {
                salt: vec![1; 16],
                iterations: 4_096,
                stored_key: [0; 32],
                server_key: [0; 32],
            },
            nonce: "n".into(),
        },
        AuthQuestion::Disproved { .. } => refused(),
    }
}

/// Under which anything is proven, so that what comes after a proof is reached.
struct Weak;

impl Sha256 for Weak {
    fn digest(&self, _: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn hmac(&self, _: &[u8], _: &[u8]) -> [u8; 32] {
        [0; 32]
    }

    fn pbkdf2(&self, _: &[u8], _: &[u8], _: NonZeroU32) -> [u8; 32] {
        [0; 32]
    }
}

fn judge(path: &str) -> Reply {
    match path.bytes().next() {
        Some(b'x') => Reply::with_enhanced(550, 1, 1, "no"),
        Some(b'y') => Reply::with_enhanced(421, 3, 2, "not now"),
        _ => Reply::with_enhanced(250, 1, 0, "fine"),
    }
}

fn options(auth: Option<AuthOffer>) -> ServerOptions {
    ServerOptions {
        hostname: "mx.example".into(),
        max_message_size: MAX_MESSAGE,
        max_content_line: MAX_LINE,
        max_recipients: 5,
        max_errors: 20,
        max_idle_commands: 50,
        auth,
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

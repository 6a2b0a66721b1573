//! Any lines as a message that a client submits: refused, or it goes out with nothing lost but what is taken out, and
//! what went out says the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{
    Timestamp,
    submitted::{MAX_EXTRA, read},
};

fuzz_target!(|bytes: &[u8]| {
    // As it is too: no session lets that through, and it must not panic for all that.
    let _ = read(&bytes.to_vec().into());
    let raw = with_crlf(bytes).into();
    let Ok(mut message) = read(&raw) else { return };
    assert!(raw.ends_with(message.rest.strip_prefix(b"\r\n").expect("an empty line")));
    assert!(message.extra.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() <= MAX_EXTRA);

    let id = message.complete(Timestamp::from_millis(0), [7; 12]);
    let sent = [&message.header[..], &message.rest].concat();
    let again = read(&sent.into()).expect("what goes out can be read");
    assert_eq!((&again.header, &again.rest), (&message.header, &message.rest));
    assert_eq!((&again.from, &again.sender), (&message.from, &message.sender));
    assert_eq!((again.message_id, again.has_date), (Some(id), true));
    assert_eq!((again.subject, again.extra.len()), (message.subject, 0));
});

/// Its lines with the ends that they have in a session.
fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines: Vec<Vec<u8>> = lines.map(|line| line.iter().copied().filter(|byte| *byte != b'\r').collect()).collect();
    lines.join(&b"\r\n"[..])
}

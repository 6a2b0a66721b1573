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

    // In ASCII it says the same too.
    let mut encoded = read(&raw).expect("it was read before");
    encoded.encode_header();
    assert!(encoded.header.is_ascii() || encoded.header == read(&raw).expect("it was read before").header);
    let read_again = read(&[&encoded.header[..], &encoded.rest].concat().into()).expect("what goes out can be read");
    assert_eq!((&read_again.header, &read_again.rest), (&encoded.header, &encoded.rest));
    assert_eq!((read_again.from, read_again.subject), (encoded.from, encoded.subject));

    // However broken the header was, what stood in a Bcc field before its first empty line is in nothing that goes out.
    let behind_header = &message.rest[..message.rest.len().saturating_sub(body(&raw).len())];
    assert!(!has_bcc(&message.header) && !has_bcc(behind_header));
});

/// What follows the first empty line.
fn body(raw: &[u8]) -> &[u8] {
    let empty_line = raw.windows(4).position(|octets| octets == b"\r\n\r\n").map(|at| at + 4);
    &raw[if raw.starts_with(b"\r\n") { 2 } else { empty_line.unwrap_or(raw.len()) }..]
}

fn has_bcc(lines: &[u8]) -> bool {
    lines.split(|byte| *byte == b'\n').any(|line| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        line.contains(&b':') && name.trim_ascii_end().eq_ignore_ascii_case(b"Bcc")
    })
}

/// Its lines with the ends that they have in a session.
fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines: Vec<Vec<u8>> = lines.map(|line| line.iter().copied().filter(|byte| *byte != b'\r').collect()).collect();
    lines.join(&b"\r\n"[..])
}

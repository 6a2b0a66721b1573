//! Any octets as a message whose parts are taken out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::read::{MAX_TEXT, Structure, part, read, read_with_feedback};

fuzz_target!(|bytes: &[u8]| {
    let message = read(bytes);
    assert!(message.message.text.len() <= MAX_TEXT && message.message.html.len() <= MAX_TEXT);
    assert!(mail::read::headers_end(bytes) <= bytes.len());
    let (again, feedback) = read_with_feedback(bytes);
    assert_eq!((again, feedback), (message.clone(), mail::feedback::read(bytes)));
    for domain in mail::from_fields(bytes).flat_map(mail::author_domains).flatten() {
        assert!(!domain.is_empty() && domain.is_ascii(), "{domain:?}");
    }
    check_parts(bytes, &message.structure, &mut Vec::new());
});

fn check_parts(bytes: &[u8], structure: &Structure, path: &mut Vec<usize>) {
    let part = part(bytes, path).expect("a part that the structure shows");
    if structure.parts.is_empty() {
        assert_eq!(part.bytes.len() as i64, structure.decoded_size, "{path:?}");
    }
    for (index, inner) in structure.parts.iter().enumerate().take(10) {
        path.push(index);
        check_parts(bytes, inner, path);
        path.pop();
    }
}

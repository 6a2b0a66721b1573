//! Any octets as a message, and as the machine-readable part of a complaint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_fuzz::assert_within_bounds;

const BEFORE: &[u8] = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n--b\r\n\
    Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n";

fuzz_target!(|bytes: &[u8]| {
    mail::feedback::read(bytes).iter().for_each(assert_within_bounds);
    mail::feedback::read(&[BEFORE, bytes].concat()).iter().for_each(assert_within_bounds);
});

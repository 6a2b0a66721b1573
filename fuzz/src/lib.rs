//! What the targets share.

use mail::feedback::Feedback;

/// Cuts `bytes` into pieces of 1 to 64 octets, chosen by `seed`.
pub fn pieces(seed: u8, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut state = u64::from(seed) + 1;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = usize::from((state >> 33) as u8 % 64) + 1;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(piece)
    })
}

/// The bounds that `mail::feedback` promises.
pub fn assert_within_bounds(feedback: &Feedback) {
    let original = feedback.original();
    assert!(original.recipients.len() <= 100);
    assert!(original.message_id.iter().all(|id| id.len() <= 998));
    match feedback {
        Feedback::Status(status) => {
            assert!((1..=1000).contains(&status.recipients.len()));
            assert!(status.envelope_id.iter().all(|id| id.len() <= 100));
            assert!(status.recipients.iter().all(|block| block.text.len() <= 1000));
            for code in status.recipients.iter().map(|block| block.code.number()) {
                assert!(code == 0 || (200..600).contains(&code), "{code}");
            }
        }
        Feedback::Complaint(complaint) => assert!(complaint.recipients.len() <= 100),
    }
}

//! When a certificate is got.

use crate::tls::Life;
use mail::Timestamp;
use std::time::Duration;

/// The longest sleep: clocks are set, and machines sleep as well.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// Authorities allow few failures an hour.
const WAIT_MAX: Duration = Duration::from_secs(12 * 3_600);

/// When two thirds of its life are over.
pub(super) fn renewal(life: Life) -> Timestamp {
    life.begin.after(life.end.since(life.begin) * 2 / 3)
}

/// How long to wait after so many failures in a row, at least one.
pub(super) fn after_failure(failures: u32) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_WAIT.saturating_mul(doubled).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
        let day = Duration::from_secs(86_400);
        let begin = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(renewal(Life { begin, end: begin.after(day * 90) }), begin.after(day * 60));
        assert_eq!(renewal(Life { begin, end: begin }), begin, "one without a life is due at once");
    }

    #[test]
    fn failures_make_the_wait_longer_up_to_half_a_day() {
        for (failures, seconds) in [(1, 60), (2, 120), (3, 240), (10, 30_720), (11, 43_200), (100, 43_200)] {
            assert_eq!(after_failure(failures), Duration::from_secs(seconds), "{failures}");
        }
    }
}

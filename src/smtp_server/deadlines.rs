//! How long a session may go on, however steadily its client sends.

use std::time::Duration;
use tokio::time::Instant;

/// From MAIL to the end of the message: one of the largest size at a poor rate.
const MESSAGE_TIME: Duration = Duration::from_secs(2 * 60 * 60);

/// The ends of a session and of the message under way.
pub(super) struct Deadlines {
    session: Instant,
    message: Instant,
}

impl Deadlines {
    /// For a session that begins now, and in which messages may begin for that long.
    pub(super) fn new(session_time: Duration) -> Deadlines {
        let now = Instant::now();
        Deadlines { session: now + session_time, message: now + MESSAGE_TIME }
    }

    /// A message wants to begin. False when the session has lasted too long for that.
    pub(super) fn begin_message(&mut self) -> bool {
        let now = Instant::now();
        self.message = now + MESSAGE_TIME;
        now < self.session
    }

    /// The time until which to wait for a client that may be silent for `timeout`.
    pub(super) fn next(&self, message_is_under_way: bool, timeout: Duration) -> Instant {
        let end = if message_is_under_way { self.message } else { self.session };
        end.min(Instant::now() + timeout)
    }
}

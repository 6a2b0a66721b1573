//! How long a session may go on, however steadily its client sends.

use super::pace::Pace;
use smtp::Awaited;
use std::time::Duration;
use tokio::time::Instant;

/// From MAIL to the end of the message: one of the largest size at a poor rate.
const MESSAGE_TIME: Duration = Duration::from_secs(2 * 60 * 60);

/// The ends of a session and of the message under way, and since when its client is waited for.
pub(super) struct Deadlines {
    session: Instant,
    message: Instant,
    /// When the client was last told something.
    answered: Instant,
    /// When it last said something.
    heard: Instant,
    pace: Pace,
}

impl Deadlines {
    /// For a session that begins now, and in which messages may begin for that long.
    pub(super) fn new(session_time: Duration) -> Deadlines {
        let now = Instant::now();
        Deadlines {
            session: now + session_time,
            message: now + MESSAGE_TIME,
            answered: now,
            heard: now,
            pace: Pace::default(),
        }
    }

    /// A message wants to begin. False when the session has lasted too long for that.
    pub(super) fn begin_message(&mut self) -> bool {
        let now = Instant::now();
        self.message = now + MESSAGE_TIME;
        self.pace = Pace::default();
        now < self.session
    }

    /// It is the client's turn: it was told something, or its connection is new.
    pub(super) fn answered(&mut self) {
        self.answered = Instant::now();
    }

    /// So many octets came.
    pub(super) fn heard(&mut self, octets: usize) {
        self.heard = Instant::now();
        self.pace.came(octets, self.heard);
    }

    /// The time until which to wait for what the session reads. `content`: that of a message is on its way, even if
    /// a command is awaited now. `message`: an envelope is open.
    pub(super) fn next(
        &mut self,
        awaited: Awaited,
        timeout: Duration,
        content: bool,
        message: bool,
    ) -> Instant {
        let end = if message { self.message } else { self.session };
        let since = match awaited {
            // However slowly it drips, the line has the time as a whole (RFC 5321 section 4.5.3.2).
            Awaited::Command => self.answered,
            Awaited::Content => self.answered.max(self.heard),
        };
        let block = self.pace.end(content, Instant::now()).unwrap_or(end);
        end.min(since + timeout).min(block)
    }
}

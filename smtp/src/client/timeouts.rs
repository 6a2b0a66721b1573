//! How long a client waits.

use std::time::Duration;

/// How long to wait for answers (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The greeting; 5 minutes.
    pub greeting: Duration,
    /// Answers to EHLO, HELO, STARTTLS, AUTH and RSET; 5 minutes.
    pub command: Duration,
    /// The answer to MAIL; 5 minutes.
    pub mail: Duration,
    /// The answer to RCPT; 5 minutes.
    pub rcpt: Duration,
    /// The answer to DATA; 2 minutes.
    pub data: Duration,
    /// One write of commands or content; 3 minutes.
    pub data_block: Duration,
    /// The answer to the end of the data; 10 minutes, since giving up earlier makes duplicates.
    pub end_of_data: Duration,
    /// The answer to QUIT, on which nothing depends; 10 seconds.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            data_block: minutes(3),
            end_of_data: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}

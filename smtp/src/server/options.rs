//! What a server is told about itself.

use std::time::Duration;

use super::AuthOffer;
use crate::extensions::Extensions;
use crate::kept::ContentLimits;

/// What a server is told about itself.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Its name, for the greeting and EHLO.
    pub hostname: String,
    /// Octets of one message at most; announced as SIZE.
    pub max_message_size: usize,
    /// Octets of one line of a message at most, CR LF included; one that is longer gets 554 5.6.0.
    pub max_content_line: usize,
    /// Recipients of one message at most; one more gets 452 4.5.3.
    pub max_recipients: usize,
    /// Errors after which the session is ended with 421. An accepted message sets the count back.
    pub max_errors: u32,
    /// Commands that bring no message further (all but accepted MAIL, RCPT, DATA and BDAT), after which the session is
    /// ended with 421. An accepted message sets the count back.
    pub max_idle_commands: u32,
    /// How clients log in, which they must before MAIL. With `None` none can, and none needs to.
    pub auth: Option<AuthOffer>,
    /// What to offer. SIZE is set from `max_message_size`, AUTH from `auth`; STARTTLS is offered without TLS only,
    /// REQUIRETLS with TLS only. `limits.mail_max` is kept: one more MAIL ends the session with 421.
    pub extensions: Extensions,
    /// How long to wait for a client.
    pub timeouts: ServerTimeouts,
}

impl ServerOptions {
    pub(super) fn content_limits(&self) -> ContentLimits {
        ContentLimits { octets: self.max_message_size, line: self.max_content_line }
    }
}

/// How long to wait for a client (RFC 5321 section 4.5.3.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// The next command, or the next line in an exchange of AUTH, as a whole; 5 minutes.
    pub command: Duration,
    /// More of the data, however little; 3 minutes.
    pub data: Duration,
    /// How long a client that gets no answer is kept; 10 minutes.
    pub silence: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self { command: minutes(5), data: minutes(3), silence: minutes(10) }
    }
}

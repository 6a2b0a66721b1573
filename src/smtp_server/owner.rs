//! Who decides in a session, and makes the listeners of a role what they are.

use crate::app::App;
use bytes::Bytes;
use smtp::{
    AuthAnswer, AuthQuestion, Extensions, Limits, MailCommand, Peer, RcptCommand, Reply, ServerOptions,
    ServerTimeouts,
};
use std::net::IpAddr;

/// Commands that bring no message further, after which a session is ended. Twice the recipients that a message may
/// have are allowed on top, since each may be refused.
const IDLE_COMMANDS: u32 = 100;

/// Octets of a line of a message at most, CR LF included. Far more than the 1,000 of RFC 5321, for real mail has such
/// lines and refusing it loses it; and little enough for those who hold a line in memory.
const CONTENT_LINE_MAX: usize = 256 * 1024;

/// What sessions of every role are told: without logins, and with the extensions that need nothing of their owner.
pub(crate) fn usual_options(app: &App) -> ServerOptions {
    let limits = &app.settings.limits;
    let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ServerOptions {
        hostname: app.hostname.as_ascii().to_owned(),
        max_message_size: usize::try_from(limits.message_size_max).unwrap_or(usize::MAX),
        max_content_line: CONTENT_LINE_MAX,
        max_recipients: limits.recipients_max,
        max_errors: bounded(limits.smtp_errors_max),
        max_idle_commands: IDLE_COMMANDS.saturating_add(bounded(limits.recipients_max).saturating_mul(2)),
        auth: None,
        extensions: Extensions {
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            enhanced_status_codes: true,
            limits: Limits { mail_max: None, rcpt_max: Some(bounded(limits.recipients_max)) },
            ..Extensions::default()
        },
        timeouts: ServerTimeouts::default(),
    }
}

/// What to answer a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Say(Reply),
    /// Nothing, ever.
    Silence,
}

/// What a session knows of its client when a message came.
pub(crate) struct Client<'a> {
    /// Who it says it is.
    pub(crate) peer: Option<&'a Peer>,
    /// Whether the connection is secured.
    pub(crate) secure: bool,
}

/// The decisions of one session. It keeps the envelope with everything parsed, in step with that of the session.
pub(crate) trait Owner {
    /// Answers MAIL, with which another envelope begins.
    fn mail(&mut self, mail: &MailCommand) -> Answer;

    /// Answers RCPT.
    fn rcpt(&mut self, rcpt: &RcptCommand) -> Answer;

    /// Keeps a message that was received for the envelope, and answers once it is on disk.
    async fn message(&mut self, client: Client<'_>, content: Bytes) -> Answer;

    /// Answers a client that logs in.
    async fn auth(&mut self, question: AuthQuestion) -> AuthAnswer;

    /// Knows no more of what was said before (RFC 3207 section 4.2).
    fn forget(&mut self);
}

/// What the listeners of a role have in common.
pub(crate) trait Service: 'static {
    /// Who decides in its sessions.
    type Owner: Owner + 'static;

    /// For the counter of sessions.
    const ROLE: &'static str;

    /// What a session that begins now is told about the server. Whether it offers STARTTLS is not decided here.
    fn options(&self) -> ServerOptions;

    /// For a session with a client at that address.
    fn owner(&self, remote: IpAddr) -> Self::Owner;
}

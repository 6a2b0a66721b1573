//! Who decides in a session, and makes the listeners of a role what they are.

use bytes::Bytes;
use smtp::{AuthAnswer, AuthQuestion, MailCommand, Peer, RcptCommand, Reply, ServerOptions};
use std::net::IpAddr;

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

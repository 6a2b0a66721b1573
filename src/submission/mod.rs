//! SMTP submission: messages that accounts bring in to be sent.

mod login;
mod message;

use crate::{
    app::App,
    logins::Login,
    sending::FUTURE_RELEASE_MAX,
    smtp_server::{Answer, Client, Owner, Service, usual_options},
};
use bytes::Bytes;
use login::Challenged;
use mail::Timestamp;
use message::{Bringer, Envelope, Refused};
use smtp::{
    AuthAnswer, AuthOffer, AuthQuestion, Extensions, FutureRelease, MailCommand, RcptCommand, Reply,
    ServerOptions,
};
use std::{net::IpAddr, sync::Arc};

/// Failed logins after which a session is ended. Whoever mistypes a password does so once or twice.
const FAILED_LOGINS_MAX: u32 = 3;

/// Takes messages from accounts. One for all listeners that take passwords alike.
pub(crate) struct SubmissionService {
    app: Arc<App>,
    passwords_without_tls: bool,
}

impl SubmissionService {
    pub(crate) fn new(app: &Arc<App>, passwords_without_tls: bool) -> SubmissionService {
        SubmissionService { app: app.clone(), passwords_without_tls }
    }
}

impl Service for SubmissionService {
    type Owner = Submitting;

    const ROLE: &'static str = "submission";

    fn options(&self) -> ServerOptions {
        let usual = usual_options(&self.app);
        let latest = self.app.handles.clock.now().after(FUTURE_RELEASE_MAX);
        // RFC 4865 has no fractions of seconds.
        let latest = Timestamp::from_millis(latest.as_secs() * 1000);
        ServerOptions {
            auth: Some(AuthOffer {
                passwords_without_tls: self.passwords_without_tls,
                scram: Some(&actors::AwsLc),
                max_failures: FAILED_LOGINS_MAX,
            }),
            extensions: Extensions {
                dsn: true,
                require_tls: true,
                future_release: Some(FutureRelease {
                    max_interval: u32::try_from(FUTURE_RELEASE_MAX.as_secs()).unwrap_or(u32::MAX),
                    max_date_time: latest.to_string(),
                }),
                ..usual.extensions
            },
            ..usual
        }
    }

    fn owner(&self, remote: IpAddr) -> Submitting {
        Submitting { app: self.app.clone(), remote, login: None, challenged: None, envelope: None }
    }
}

/// The decisions of one session.
pub(crate) struct Submitting {
    app: Arc<App>,
    remote: IpAddr,
    /// Who the client proved to be.
    login: Option<Login>,
    /// Who the client is about to prove to be.
    challenged: Option<Challenged>,
    envelope: Option<Envelope>,
}

impl Owner for Submitting {
    fn mail(&mut self, mail: &MailCommand) -> Answer {
        self.envelope = None;
        // The session asks only for those who logged in.
        let Some(login) = &self.login else { return say(530, 7, 0, "Authentication required") };
        match Envelope::begin(&self.app, login.account.id, login.wants_from_ids(), mail) {
            Ok(envelope) => {
                self.envelope = Some(envelope);
                say(250, 1, 0, "Sender OK")
            }
            Err(refused) => refused.into(),
        }
    }

    fn rcpt(&mut self, rcpt: &RcptCommand) -> Answer {
        let Some(envelope) = &mut self.envelope else { return say(503, 5, 1, "MAIL first") };
        match envelope.add(&self.app, rcpt) {
            Ok(()) => say(250, 1, 5, "Recipient OK"),
            Err(refused) => refused.into(),
        }
    }

    async fn message(&mut self, client: Client<'_>, content: Bytes) -> Answer {
        let Some(envelope) = self.envelope.take() else { return say(503, 5, 1, "MAIL first") };
        let bringer = Bringer { peer: client.peer, remote: self.remote, secure: client.secure };
        match message::submit(&self.app, envelope, bringer, content).await {
            Ok(reply) => Answer::Say(reply),
            Err(refused) => refused.into(),
        }
    }

    async fn auth(&mut self, question: AuthQuestion) -> AuthAnswer {
        self.answer_auth(question).await
    }

    fn forget(&mut self) {
        (self.login, self.challenged, self.envelope) = (None, None, None);
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Answer {
        refused.reply().map_or(Answer::Silence, Answer::Say)
    }
}

fn say(code: u16, subject: u16, detail: u16, text: &str) -> Answer {
    Answer::Say(Reply::with_enhanced(code, subject, detail, text))
}

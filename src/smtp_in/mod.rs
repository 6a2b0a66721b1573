//! SMTP for incoming mail: what its sessions offer, and who decides in them.

mod authentication;
mod incoming;
mod metrics;
mod prepare;
pub(crate) mod simulated;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use prepare::RECEIVED_MAX;

use crate::{app::App, smtp_server::Service};
use authentication::Authenticator;
use incoming::Incoming;
use metrics::Metrics;
use smtp::{Extensions, Limits, ServerOptions, ServerTimeouts};
use std::{io, net::IpAddr, rc::Rc, sync::Arc};

/// Commands that bring no message further, after which a session is ended. Twice the recipients that a message may
/// have are allowed on top, since each may be refused.
const IDLE_COMMANDS: u32 = 100;

/// Takes mail from other servers. One for all listeners.
pub(crate) struct IncomingMail {
    app: Arc<App>,
    metrics: Metrics,
    authenticator: Rc<Authenticator>,
}

impl IncomingMail {
    /// # Errors
    /// When the app's registry has the counters already, or no name servers are known.
    pub(crate) fn new(app: &Arc<App>) -> io::Result<IncomingMail> {
        let authenticator = Authenticator::new(app.mode, &app.settings.dns).map_err(io::Error::other)?;
        Ok(IncomingMail {
            metrics: Metrics::register(&app.registry).map_err(io::Error::other)?,
            authenticator: Rc::new(authenticator),
            app: app.clone(),
        })
    }
}

impl Service for IncomingMail {
    type Owner = Incoming;

    const ROLE: &'static str = "incoming";

    fn options(&self) -> ServerOptions {
        let limits = &self.app.settings.limits;
        let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        ServerOptions {
            hostname: self.app.hostname.as_ascii().to_owned(),
            max_message_size: usize::try_from(limits.message_size_max).unwrap_or(usize::MAX),
            max_recipients: limits.recipients_max,
            max_errors: bounded(limits.smtp_errors_max),
            max_idle_commands: IDLE_COMMANDS.saturating_add(bounded(limits.recipients_max).saturating_mul(2)),
            auth: None,
            // No DSN: whoever offers it has to report successful delivery on demand (RFC 3461 section 5.2.2).
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

    fn owner(&self, remote: IpAddr) -> Incoming {
        Incoming::new(self.app.clone(), self.metrics.clone(), self.authenticator.clone(), remote)
    }
}

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

use crate::{
    app::App,
    smtp_server::{Service, usual_options},
};
use authentication::Authenticator;
use incoming::Incoming;
use metrics::Metrics;
use smtp::ServerOptions;
use std::{io, net::IpAddr, rc::Rc, sync::Arc};

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

    /// No DSN: whoever offers it has to report successful delivery on demand (RFC 3461 section 5.2.2).
    fn options(&self) -> ServerOptions {
        usual_options(&self.app)
    }

    fn owner(&self, remote: IpAddr) -> Incoming {
        Incoming::new(self.app.clone(), self.metrics.clone(), self.authenticator.clone(), remote)
    }
}

//! Parameters of MAIL and RCPT: each only where its extension is offered, and within what was announced of it.

use super::ServerSession;
use crate::command::{MailCommand, RcptCommand};
use crate::params::Body;
use crate::reply::Reply;

impl ServerSession {
    pub(super) fn check_mail_parameters(&self, mail: &MailCommand) -> Result<(), Reply> {
        let offers = &self.options.extensions;
        let body_offered = match mail.body {
            None => true,
            Some(Body::SevenBit | Body::EightBitMime) => offers.eight_bit_mime,
            // Its lines end anyhow, and DATA, by which it may have to go on, cannot carry that.
            Some(Body::BinaryMime) => false,
        };
        let table = [
            (body_offered, "BODY"),
            (offers.smtputf8 || !mail.smtputf8, "SMTPUTF8"),
            ((offers.require_tls && self.is_secure()) || !mail.require_tls, "REQUIRETLS"),
            (offers.dsn || mail.ret.is_none(), "RET"),
            (offers.dsn || mail.envid.is_none(), "ENVID"),
            (self.options.auth.is_some() || mail.auth.is_none(), "AUTH"),
            (offers.future_release.is_some() || mail.hold.is_none(), "HOLDFOR and HOLDUNTIL"),
        ];
        if let Some((_, parameter)) = table.iter().find(|(fine, _)| !fine) {
            let text = format!("Parameter {parameter} is not offered");
            return Err(Reply::with_enhanced(555, 5, 4, &text));
        }
        match (&offers.future_release, mail.hold) {
            (Some(release), Some(hold)) if !release.allows(hold) => {
                let text = format!(
                    "A message can be held for {} seconds at most, until {}",
                    release.max_interval, release.max_date_time
                );
                Err(Reply::with_enhanced(501, 5, 4, &text))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_rcpt_parameters(&self, rcpt: &RcptCommand) -> Result<(), Reply> {
        if self.options.extensions.dsn || (rcpt.notify.is_none() && rcpt.orcpt.is_none()) {
            Ok(())
        } else {
            Err(Reply::with_enhanced(555, 5, 4, "Parameters NOTIFY and ORCPT are not offered"))
        }
    }
}

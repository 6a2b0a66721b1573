//! `[[smtp]]`: where SMTP is answered.

use crate::{
    Tls,
    source::{Section, choice, flag, listen_address},
};
use std::net::SocketAddr;

/// A place where SMTP is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who comes there, and how TLS starts.
    pub role: SmtpRole,
}

/// Who comes to an SMTP listener, and how TLS starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpRole {
    /// Other servers, with mail for our accounts; STARTTLS where there is a certificate.
    Incoming,
    /// Our accounts; STARTTLS where there is a certificate.
    Submission {
        /// Whether passwords are taken without TLS; where not, there is a certificate.
        auth_without_tls: bool,
    },
    /// Our accounts, TLS from the start; there is a certificate.
    Submissions,
}

const ROLES: &[(&str, SmtpRole)] = &[
    ("incoming", SmtpRole::Incoming),
    ("submission", SmtpRole::Submission { auth_without_tls: false }),
    ("submissions", SmtpRole::Submissions),
];

impl SmtpListener {
    pub(crate) fn read(mut section: Section<'_, '_>, certificate: &Tls) -> Option<SmtpListener> {
        let address = section.required("address", listen_address);
        let role = section.required("role", choice(ROLES));
        let unprotected = section.optional("auth_without_tls", flag).unwrap_or(false);
        let role = match role? {
            SmtpRole::Submission { .. } => {
                section.check(
                    "role",
                    unprotected || certificate.is_on(),
                    "\"submission\" needs a certificate: set [tls] (or `auth_without_tls` on an internal listener)",
                );
                SmtpRole::Submission { auth_without_tls: unprotected }
            }
            other => {
                section.check("auth_without_tls", !unprotected, "only goes with the role \"submission\"");
                let lacks = other == SmtpRole::Submissions && !certificate.is_on();
                section.check("role", !lacks, "\"submissions\" needs a certificate: set [tls]");
                other
            }
        };
        Some(SmtpListener { address: address?, role })
    }
}

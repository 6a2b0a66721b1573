//! Certificates by ACME (RFC 8555): got when there is none, and again when two thirds of its life are over.

mod answers;
mod files;
mod order;
mod schedule;

pub use answers::{AcmeAnswers, PROTOCOL};

use super::Certificate;
use crate::tls::{certificate_life, is_for};
use actors::Clock;
use config::Acme;
use files::Files;
use mail::{Domain, Timestamp};
use order::Authority;
use schedule::{after_failure, renewal};
use std::{path::Path, sync::Arc};

/// Keeps the certificate of a server by ACME.
pub struct AcmeKeeper {
    authority: Authority,
    files: Files,
    certificate: Arc<Certificate>,
    clock: Clock,
}

impl AcmeKeeper {
    /// For `hostname`, with what was kept in `data_dir`, whose lock the caller holds. Until the authority has given a
    /// certificate, one that nobody trusts stands in its place, which servers that speak TLS if they can are content with.
    ///
    /// # Errors
    /// When what was kept cannot be read.
    pub fn new(
        acme: &Acme,
        hostname: &Domain,
        data_dir: &Path,
        answers: Arc<AcmeAnswers>,
        certificate: Arc<Certificate>,
    ) -> anyhow::Result<AcmeKeeper> {
        let files = Files::open(data_dir)?;
        match files.certificate()? {
            Some(kept) => certificate.set(kept),
            None => certificate.set(order::placeholder(hostname)?),
        }
        let authority = Authority::new(acme, hostname, answers);
        Ok(AcmeKeeper { authority, files, certificate, clock: Clock::system() })
    }

    /// Gets certificates when it is time. Never returns.
    pub async fn keep(self) {
        let mut failures = 0;
        loop {
            let now = self.clock.now();
            let due = self.due().unwrap_or(now);
            if now < due {
                tokio::time::sleep(due.since(now).min(schedule::LOOK_AGAIN)).await;
                continue;
            }
            match self.renew().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    let wait = after_failure(failures);
                    tracing::error!(
                        failures,
                        next_in_seconds = wait.as_secs(),
                        "no certificate from the ACME authority: {error:#}"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// When the next certificate is due; `None`: at once, as there is none for this name from this authority.
    fn due(&self) -> Option<Timestamp> {
        let kept = self.files.certificate().ok().flatten()?;
        self.files.account(self.authority.directory()).ok().flatten()?;
        is_for(&kept, self.authority.hostname()).then(|| certificate_life(&kept).map(renewal)).flatten()
    }

    async fn renew(&self) -> anyhow::Result<()> {
        let pem = self.authority.certificate(&self.files).await?;
        self.files.keep_certificate(&pem)?;
        if let Some(certificate) = self.files.certificate()? {
            self.certificate.set(certificate);
        }
        tracing::info!("the ACME authority gave a certificate");
        Ok(())
    }
}

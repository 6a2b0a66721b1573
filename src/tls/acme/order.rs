//! One certificate from the authority.

use super::{
    AcmeAnswers,
    files::{Files, KeptAccount},
};
use anyhow::{Context, bail, ensure};
use config::Acme;
use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier,
    NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use mail::Domain;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// For one certificate, from the beginning to the end.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long the authority is asked whether it is done with a step.
const POLL: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).timeout(Duration::from_secs(180));

/// Who gives certificates, and what for.
pub(super) struct Authority {
    directory: String,
    contact: String,
    hostname: Domain,
    answers: Arc<AcmeAnswers>,
}

impl Authority {
    pub(super) fn new(acme: &Acme, hostname: &Domain, answers: Arc<AcmeAnswers>) -> Authority {
        Authority {
            directory: acme.directory.clone(),
            contact: format!("mailto:{}", acme.contact.to_smtp()),
            hostname: hostname.clone(),
            answers,
        }
    }

    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    pub(super) fn hostname(&self) -> &Domain {
        &self.hostname
    }

    /// A new key and its certificate chain, as PEM.
    pub(super) async fn certificate(&self, files: &Files) -> anyhow::Result<String> {
        let ordered = timeout(ORDER_TIMEOUT, self.order(files)).await;
        self.answers.clear();
        ordered.context("it took too long")?
    }

    async fn order(&self, files: &Files) -> anyhow::Result<String> {
        let account = self.account(files).await?;
        let identifiers = [Identifier::Dns(self.hostname.as_ascii().to_owned())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            self.authorize(authorization?).await?;
        }
        let status = order.poll_ready(&POLL).await?;
        ensure!(status == OrderStatus::Ready, "the order came to nothing: {status:?}");
        let key = KeyPair::generate()?;
        order.finalize_csr(self.request(&key)?.der()).await?;
        let chain = order.poll_certificate(&POLL).await?;
        Ok(format!("{}{chain}", key.serialize_pem()))
    }

    /// The account that was kept, or a new one.
    async fn account(&self, files: &Files) -> anyhow::Result<Account> {
        let builder = Account::builder().context("TLS to the authority cannot be set up")?;
        if let Some(kept) = files.account(&self.directory)? {
            return Ok(builder.from_credentials(kept.credentials).await?);
        }
        let new = NewAccount {
            contact: &[&self.contact],
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder.create(&new, self.directory.clone(), None).await?;
        files.keep_account(&KeptAccount { directory: self.directory.clone(), credentials })?;
        Ok(account)
    }

    /// Shows the authority what it asks for: over TLS where it can, else over HTTP.
    async fn authorize(&self, mut authorization: AuthorizationHandle<'_>) -> anyhow::Result<()> {
        match authorization.status {
            AuthorizationStatus::Valid => return Ok(()),
            AuthorizationStatus::Pending => {}
            other => bail!("the authority does not let us show that {} is ours: {other:?}", self.hostname),
        }
        // Both where both are offered would be two answers to one question: the authority looks at one of them.
        let over_tls = self.answers.speaks_tls();
        let kind = if over_tls { ChallengeType::TlsAlpn01 } else { ChallengeType::Http01 };
        let Some(mut challenge) = authorization.challenge(kind.clone()) else {
            bail!("the authority does not offer the challenge {kind:?}, which the listeners need");
        };
        if over_tls {
            self.answers.set_over_tls(self.proof(&challenge)?);
        } else {
            self.answers.set_over_http(&challenge.token, challenge.key_authorization().as_str());
        }
        Ok(challenge.set_ready().await?)
    }

    /// The certificate that shows the answer (RFC 8737, 3).
    fn proof(&self, challenge: &ChallengeHandle<'_>) -> anyhow::Result<CertifiedKey> {
        let digest = challenge.key_authorization().digest();
        ensure!(digest.as_ref().len() == 32, "the answer to the challenge has no SHA-256");
        let mut params = params(&self.hostname)?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
        self_signed(params)
    }

    fn request(&self, key: &KeyPair) -> anyhow::Result<rcgen::CertificateSigningRequest> {
        Ok(params(&self.hostname)?.serialize_request(key)?)
    }
}

/// A certificate for `hostname` that nobody trusts.
pub(super) fn placeholder(hostname: &Domain) -> anyhow::Result<CertifiedKey> {
    self_signed(params(hostname)?)
}

fn params(hostname: &Domain) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new([hostname.as_ascii().to_owned()])?;
    // The name stands in the alternative names; rcgen has one of its own here otherwise.
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

fn self_signed(params: CertificateParams) -> anyhow::Result<CertifiedKey> {
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let provider = CryptoProvider::get_default().context("TLS is not set up")?;
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    // Not by `from_der`, which reads the certificate: the answer to a challenge has a critical extension.
    let signer = provider.key_provider.load_private_key(private)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
}

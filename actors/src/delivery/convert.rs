//! Content for hosts that do not offer 8BITMIME.

use bytes::Bytes;
use mail::{DkimSigner, EnhancedCode, SignError, Unconvertible, without_signatures_of};
use store::Store;

/// Why a message cannot go to such a host. Permanent: it stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The message allows no conversion.
    #[error("the host does not offer 8BITMIME, and the message cannot be converted: {0}")]
    Unconvertible(#[from] Unconvertible),
    /// The converted message could not be signed.
    #[error("the host does not offer 8BITMIME, and the converted message cannot be signed: {0}")]
    Sign(#[from] SignError),
}

impl ConvertError {
    /// The enhanced code for it.
    pub fn enhanced(self) -> EnhancedCode {
        match self {
            ConvertError::Unconvertible(error) => error.enhanced(),
            ConvertError::Sign(_) => EnhancedCode::new(5, 6, 0).expect("a code of class 5"),
        }
    }
}

/// The content of a message for a host without 8BITMIME, signed again with the keys of its author's domain. It is
/// made anew for each attempt, as what is stored is for all hosts.
pub(super) async fn for_author(store: &Store, content: Bytes) -> Result<Bytes, ConvertError> {
    let domain = mail::read::author(&content).map(|author| author.domain().clone());
    let domain = domain.and_then(|name| store.directory().domain(&name).cloned());
    let is_slow = store.is_large(content.len())
        || domain.iter().flat_map(|domain| &domain.signers).any(|signer| signer.key().is_slow());
    let convert =
        move || seven_bit(&content, domain.as_deref().map(|domain| &*domain.signers).unwrap_or_default());
    if !is_slow {
        return convert();
    }
    // The task can only be gone when the runtime is, and then nobody waits for it.
    tokio::task::spawn_blocking(convert).await.unwrap_or(Err(ConvertError::Sign(SignError::Failed)))
}

/// The message without octets above 127, with the signatures of `signers` made anew, in their order; the message
/// itself when it has no such octets.
///
/// It takes time that grows with the message, and signs: large messages and RSA keys belong on a blocking thread.
///
/// # Errors
/// When the message allows no conversion, or cannot be signed.
pub fn seven_bit(content: &Bytes, signers: &[DkimSigner]) -> Result<Bytes, ConvertError> {
    let Some(converted) = mail::seven_bit(content)? else { return Ok(content.clone()) };
    let unsigned = without_signatures_of(signers, &converted.content);
    drop(converted);
    let signatures: Result<Vec<_>, _> = signers.iter().map(|signer| signer.sign(&unsigned)).collect();
    let mut signed = signatures?.concat();
    signed.extend_from_slice(&unsigned);
    Ok(signed.into())
}

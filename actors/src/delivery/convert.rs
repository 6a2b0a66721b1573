//! Content for hosts that do not offer 8BITMIME.

use bytes::Bytes;
use mail::{DkimSigner, EnhancedCode, SignError, Unconvertible, without_signatures_of};

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
    let signatures: Result<Vec<_>, _> = signers.iter().map(|signer| signer.sign(&unsigned)).collect();
    let mut signed = signatures?.concat();
    signed.extend_from_slice(&unsigned);
    Ok(signed.into())
}

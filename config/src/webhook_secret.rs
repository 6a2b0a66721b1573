//! What signs webhooks, as Standard Webhooks writes it: base64 behind `whsec_`.

use base64::{Engine, prelude::BASE64_STANDARD};

const PREFIX: &str = "whsec_";

/// A text that is no webhook secret; it is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be \"whsec_\" and 24 to 64 bytes in base64")]
pub struct InvalidWebhookSecret;

/// Reads a secret of 24 to 64 bytes.
///
/// # Errors
/// When it is not one.
pub fn read_webhook_secret(text: &str) -> Result<Vec<u8>, InvalidWebhookSecret> {
    let encoded = text.strip_prefix(PREFIX);
    encoded
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .filter(|secret| (24..=64).contains(&secret.len()))
        .ok_or(InvalidWebhookSecret)
}

/// Writes a secret, for those who may see it.
pub fn write_webhook_secret(secret: &[u8]) -> String {
    format!("{PREFIX}{}", BASE64_STANDARD.encode(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_short_or_long() {
        for length in [24, 32, 64] {
            let secret = vec![7; length];
            assert_eq!(read_webhook_secret(&write_webhook_secret(&secret)), Ok(secret));
        }
        for length in [0, 23, 65] {
            assert_eq!(
                read_webhook_secret(&write_webhook_secret(&vec![7; length])),
                Err(InvalidWebhookSecret)
            );
        }
        for wrong in
            ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"]
        {
            assert_eq!(read_webhook_secret(wrong), Err(InvalidWebhookSecret), "{wrong}");
        }
    }
}

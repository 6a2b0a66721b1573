//! `Idempotency-Key`: a request that its application may repeat.

use crate::http::{error::ApiError, form::Form};
use actix_web::http::header::HeaderValue;
use actors::AwsLc;
use smtp::Sha256;
use store::RepeatableRequest;

/// The header.
pub(in crate::http::webapi) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The most octets of a key.
const KEY_MAX: usize = 255;

/// What tells the request from others, where the application gives it a key.
pub(super) async fn repeatable(
    key: Option<&HeaderValue>,
    form: &Form,
) -> Result<Option<RepeatableRequest>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let key = parse(key).ok_or_else(|| {
        ApiError::protocol(format!("{IDEMPOTENCY_KEY} has 1 to {KEY_MAX} printable ASCII characters"))
    })?;
    let key = AwsLc.digest(&[b"request\0", key.as_bytes()].concat());
    Ok(Some(RepeatableRequest { key, fingerprint: form.fingerprint().await? }))
}

/// As it is, or as a string of RFC 8941, in which most keys look the same but for their quotes.
fn parse(key: &HeaderValue) -> Option<&str> {
    let key = key.to_str().ok()?.trim();
    let key = key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(key);
    ((1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b))).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_texts_with_or_without_quotes() {
        let long = "x".repeat(255);
        for (text, key) in [
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", Some("8e03978e-40d5-43e8-bc93-6894a57f9324")),
            ("\"quoted\"", Some("quoted")),
            (" a b ", Some("a b")),
            ("\"", Some("\"")),
            (&*long, Some(&*long)),
            ("", None),
            ("\"\"", None),
            (&*format!("{long}x"), None),
        ] {
            assert_eq!(parse(&HeaderValue::from_str(text).unwrap()), key, "{text}");
        }
        assert_eq!(parse(&HeaderValue::from_bytes("ä".as_bytes()).unwrap()), None);
    }
}

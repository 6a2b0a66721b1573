//! URLs that are called.

/// A text that is no URL to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a URL that begins with https:// or http://, of at most 2048 bytes")]
pub struct InvalidUrl;

/// Checks a URL of at most 2,048 bytes that is to be called.
///
/// # Errors
/// When it has another scheme, no host, or blanks in it.
pub fn http_url(url: &str) -> Result<String, InvalidUrl> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && url.len() <= 2_048 && !rest.contains(char::is_whitespace) => {
            Ok(url.to_owned())
        }
        Some(_) | None => Err(InvalidUrl),
    }
}

//! URLs that are called.

use std::borrow::Cow;
use url::Url;

/// A text that is no URL to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is none, or not of a kind that is called.
    #[error("must be a URL that begins with https:// or http://, of at most 2048 bytes")]
    Form,
    /// It has a secret in it, which would stand wherever the URL is shown.
    #[error(
        "must have no user name or password in it: give them as `authorization` of the webhook, as in \
         authorization = \"Basic <base64 of user:password>\""
    )]
    Userinfo,
}

/// Checks a URL of at most 2,048 bytes that is to be called.
///
/// # Errors
/// When it has another scheme, no host, blanks, or a user name or password in it.
pub fn http_url(text: &str) -> Result<String, InvalidUrl> {
    let form = text.starts_with("https://") || text.starts_with("http://");
    if !form || text.len() > 2_048 || text.contains(char::is_whitespace) {
        return Err(InvalidUrl::Form);
    }
    let url = Url::parse(text).map_err(|_| InvalidUrl::Form)?;
    if has_userinfo(&url) {
        return Err(InvalidUrl::Userinfo);
    }
    Ok(text.to_owned())
}

/// A URL as people may see it: without the user name and password that those of earlier builds may have.
pub fn shown_url(text: &str) -> Cow<'_, str> {
    match Url::parse(text) {
        Ok(mut url) if has_userinfo(&url) => {
            // Only URLs without a host refuse that, and those have no user either.
            let _ = url.set_password(None);
            let _ = url.set_username("***");
            Cow::Owned(url.into())
        }
        // What cannot be read may have one all the same.
        Err(_) if text.contains('@') => Cow::Borrowed("(a URL that cannot be read)"),
        Ok(_) | Err(_) => Cow::Borrowed(text),
    }
}

fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_to_call_have_a_host_and_no_user() {
        let long = format!("https://hooks.example/{}", "x".repeat(2_048));
        for (text, expected) in [
            ("https://hooks.example/in?key=a@b", Ok(())),
            ("http://127.0.0.1:8080/a@b#c@d", Ok(())),
            ("http://[::1]:8080", Ok(())),
            ("ftp://hooks.example/", Err(InvalidUrl::Form)),
            ("hooks.example", Err(InvalidUrl::Form)),
            ("https://", Err(InvalidUrl::Form)),
            ("https://hooks.example/a b", Err(InvalidUrl::Form)),
            (&long, Err(InvalidUrl::Form)),
            ("http://hooks.example:port/", Err(InvalidUrl::Form)),
            ("https://user:password@hooks.example/", Err(InvalidUrl::Userinfo)),
            ("https://user@hooks.example/", Err(InvalidUrl::Userinfo)),
            ("https://:password@hooks.example/", Err(InvalidUrl::Userinfo)),
            ("https:///user:password@hooks.example/", Err(InvalidUrl::Userinfo)),
            ("https://user:p%40ss@hooks.example/", Err(InvalidUrl::Userinfo)),
        ] {
            assert_eq!(http_url(text), expected.map(|()| text.to_owned()), "{text}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (text, expected) in [
            ("https://hooks.example/in?key=a@b", "https://hooks.example/in?key=a@b"),
            ("https://user:secret@hooks.example/in", "https://***@hooks.example/in"),
            ("https://:secret@hooks.example/in", "https://***@hooks.example/in"),
            ("https:///user:secret@hooks.example", "https://***@hooks.example/"),
            ("http://user:secret@hooks.example:port/", "(a URL that cannot be read)"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(shown_url(text), expected, "{text}");
        }
    }
}

//! Calls that come from web pages.
//!
//! A browser adds the login that it remembers to whatever form is posted here, even by a page of somebody else:
//! such a page could send mail. So only this server's own pages may call it from within a browser.

use actix_web::{HttpRequest, http::header::ORIGIN};

/// Whether a page of another site makes this request. Programs other than browsers say nothing of the kind.
pub(super) fn is_foreign(request: &HttpRequest) -> bool {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        // Browsers say the other only where the connection is safe.
        (None, Some(origin)) => {
            origin.split_once("://").is_none_or(|(_, host)| host != request.connection_info().host())
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_pages_of_this_server_may_call_it() {
        for (site, origin, foreign) in [
            (None, None, false),
            (Some("same-origin"), Some("https://mail.example"), false),
            (Some("same-origin"), Some("https://behind-a-proxy.example"), false),
            (Some("none"), None, false),
            (Some("cross-site"), Some("https://other.example"), true),
            (Some("same-site"), Some("https://other.mail.example"), true),
            (None, Some("http://mail.example"), false),
            (None, Some("http://mail.example:81"), true),
            (None, Some("http://other.example"), true),
            (None, Some("null"), true),
        ] {
            let mut request = TestRequest::post().insert_header(("host", "mail.example"));
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    request = request.insert_header((name, value));
                }
            }
            assert_eq!(is_foreign(&request.to_http_request()), foreign, "{site:?} {origin:?}");
        }
    }
}

//! What a browser may do with what it gets from the webapi.

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap, HeaderValue},
};

/// Nothing from elsewhere, and nothing written into the page; no other site may show it in a frame.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// HTML mail is shown in a frame that inherits the policy of its page, and has its styles and images within.
pub(super) const POLICY_WITH_MAIL: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Of answers to calls: a browser shows what somebody wrote in a mail, but does nothing of what it says.
const POLICY_OF_ANSWERS: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'";

/// Makes the answer to a call harmless to a browser, which may get it without any page of ours around it.
pub(in crate::http) fn disarm(response: &mut HttpResponse) {
    restrict(response.headers_mut(), POLICY_OF_ANSWERS);
}

/// Sets the policy, and that nothing is guessed, kept, or told to others.
pub(super) fn restrict(headers: &mut HeaderMap, policy: &'static str) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Without any referrer, a browser does not say either from where a form comes.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

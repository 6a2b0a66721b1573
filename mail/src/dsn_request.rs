//! What the sender asked of reports about one recipient (RFC 3461).

use serde::{Deserialize, Serialize};

/// The DSN parameters of MAIL and RCPT; nothing asked for is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DsnRequest {
    /// ENVID (4.4), decoded: the sender's name for the envelope, at most 100 characters.
    pub envid: Option<String>,
    /// RET (4.3).
    pub ret: Option<DsnReturn>,
    /// NOTIFY (4.1).
    pub notify: Option<DsnNotify>,
    /// ORCPT (4.2), decoded: the type of address, a semicolon, and the recipient as the sender wrote it.
    pub original_recipient: Option<String>,
}

/// How much of the message a report about a failure returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DsnReturn {
    /// All of it.
    Full,
    /// Its headers.
    Headers,
}

/// What a report is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DsnNotify {
    /// No report, ever.
    Never,
    /// Reports in these cases; at least one is set.
    On {
        /// The message was delivered.
        success: bool,
        /// It cannot be delivered.
        failure: bool,
        /// It is late.
        delay: bool,
    },
}

impl DsnNotify {
    /// Whether a report of a failure is wanted. It is where nothing was asked for (4.1).
    pub fn wants_failure(asked: Option<DsnNotify>) -> bool {
        match asked {
            Some(DsnNotify::Never) => false,
            Some(DsnNotify::On { failure, .. }) => failure,
            None => true,
        }
    }

    /// Whether a report of success is wanted. It must have been asked for (4.1).
    pub fn wants_success(asked: Option<DsnNotify>) -> bool {
        matches!(asked, Some(DsnNotify::On { success: true, .. }))
    }

    /// Whether a report of a delay is wanted. It may be sent where nothing was asked for (4.1).
    pub fn wants_delay(asked: Option<DsnNotify>) -> bool {
        match asked {
            Some(DsnNotify::Never) => false,
            Some(DsnNotify::On { delay, .. }) => delay,
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_wanted_as_asked_and_bad_news_without_asking() {
        let on = |success, failure, delay| Some(DsnNotify::On { success, failure, delay });
        for (asked, success, failure, delay) in [
            (None, false, true, true),
            (Some(DsnNotify::Never), false, false, false),
            (on(true, false, false), true, false, false),
            (on(false, true, false), false, true, false),
            (on(false, false, true), false, false, true),
            (on(true, true, true), true, true, true),
        ] {
            assert_eq!(
                [
                    DsnNotify::wants_success(asked),
                    DsnNotify::wants_failure(asked),
                    DsnNotify::wants_delay(asked)
                ],
                [success, failure, delay],
                "{asked:?}"
            );
        }
    }
}

//! The request of `Send`, as JSON has it.

use super::super::or_default;
use crate::http::error::ApiError;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use mail::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

/// The request object. A field that is `null` counts as left out.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Request {
    #[serde(deserialize_with = "or_default")]
    pub(super) from: Vec<NameAddress>,
    #[serde(deserialize_with = "or_default")]
    pub(super) to: Vec<NameAddress>,
    #[serde(rename = "CC", deserialize_with = "or_default")]
    pub(super) cc: Vec<NameAddress>,
    #[serde(rename = "BCC", deserialize_with = "or_default")]
    pub(super) bcc: Vec<NameAddress>,
    #[serde(deserialize_with = "or_default")]
    pub(super) reply_to: Vec<NameAddress>,
    #[serde(rename = "MessageID", deserialize_with = "or_default")]
    pub(super) message_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) references: Vec<String>,
    pub(super) date: Option<Time>,
    #[serde(deserialize_with = "or_default")]
    pub(super) subject: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) text: String,
    #[serde(rename = "HTML", deserialize_with = "or_default")]
    pub(super) html: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) extra: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) headers: Vec<(String, String)>,
    #[serde(deserialize_with = "or_default")]
    pub(super) alternative_files: Vec<JsonFile>,
    #[serde(deserialize_with = "or_default")]
    pub(super) inline_files: Vec<JsonFile>,
    #[serde(deserialize_with = "or_default")]
    pub(super) attached_files: Vec<JsonFile>,
    #[serde(rename = "RequireTLS")]
    pub(super) require_tls: Option<bool>,
    pub(super) future_release: Option<Time>,
    #[serde(deserialize_with = "or_default")]
    pub(super) save_sent: bool,
}

/// An address with a name, not looked at yet.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct NameAddress {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) address: String,
}

/// A file in the request object.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct JsonFile {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) content_type: String,
    #[serde(rename = "ContentID", deserialize_with = "or_default")]
    pub(super) content_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) data: Base64,
}

/// Octets given as base64; `None` when they are not.
pub(super) struct Base64(pub(super) Option<Bytes>);

impl Default for Base64 {
    fn default() -> Base64 {
        Base64(Some(Bytes::new()))
    }
}

/// A point in time in RFC 3339.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

/// How a message is to be sent, apart from what it says.
pub(super) struct SendOptions {
    pub(super) require_tls: Option<bool>,
    pub(super) future_release: Option<Timestamp>,
    pub(super) extra: BTreeMap<String, String>,
    pub(super) save_sent: bool,
}

/// How far ahead a message may be sent.
const FUTURE_RELEASE_MAX: Duration = Duration::from_secs(60 * 86_400);
/// The most octets of keys and values together: every recipient's message and every webhook has them.
const EXTRA_MAX: usize = 32 * 1024;

impl Request {
    /// Checks and takes out what is not about the content. A time that has passed already is as good as none.
    pub(super) fn take_options(&mut self, now: Timestamp) -> Result<SendOptions, ApiError> {
        let future_release = self.future_release.map(|time| time.0).filter(|time| *time > now);
        if future_release.is_some_and(|time| time > now.after(FUTURE_RELEASE_MAX)) {
            return Err(ApiError::user("FutureRelease is more than 60 days ahead; choose an earlier time"));
        }
        let extra = std::mem::take(&mut self.extra);
        if extra.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > EXTRA_MAX {
            return Err(ApiError::user(format!("Extra has more than {EXTRA_MAX} octets; shorten it")));
        }
        Ok(SendOptions { require_tls: self.require_tls, future_release, extra, save_sent: self.save_sent })
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Base64, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                // Some encoders break lines, as in mail.
                let text: Cow<'_, str> = match text.contains(['\r', '\n']) {
                    true => text.replace(['\r', '\n'], "").into(),
                    false => text.into(),
                };
                Ok(Base64(BASE64_STANDARD.decode(&*text).ok().map(Bytes::from)))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse_rfc3339(&text).map(Time).ok_or_else(|| {
            D::Error::custom("a time must be in RFC 3339 with a zone, as 2026-11-22T10:00:00Z")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_as_good_as_left_out() {
        let fields = [
            "From",
            "To",
            "CC",
            "BCC",
            "ReplyTo",
            "MessageID",
            "References",
            "Date",
            "Subject",
            "Text",
            "HTML",
            "Extra",
            "Headers",
            "AlternativeFiles",
            "InlineFiles",
            "AttachedFiles",
            "RequireTLS",
            "FutureRelease",
            "SaveSent",
        ];
        let all: serde_json::Map<_, _> =
            fields.map(|name| (name.to_owned(), json!(null))).into_iter().collect();
        let request: Request = serde_json::from_value(all.into()).unwrap();
        assert!(request.from.is_empty() && request.extra.is_empty() && !request.save_sent);
    }

    #[test]
    fn base64_is_decoded_whole_or_not_at_all() {
        for (text, expected) in [
            ("", Some("")),
            ("aMOp", Some("hé")),
            ("aM\r\nOp\n", Some("hé")),
            ("aGk=", Some("hi")),
            ("aGk", None),
            ("a_-p", None),
            ("aMOp ", None),
        ] {
            let file: JsonFile = serde_json::from_value(json!({"Data": text})).unwrap();
            assert_eq!(file.data.0.as_deref(), expected.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn a_message_can_wait_for_up_to_60_days() {
        let now = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        for (time, expected) in [
            (json!(null), Ok(None)),
            (json!("2025-12-31T00:00:00Z"), Ok(None)),
            (json!("2026-03-02T01:00:00+01:00"), Ok(Some("2026-03-02T00:00:00Z"))),
            (json!("2026-03-02T00:00:01Z"), Err(())),
        ] {
            let mut request: Request = serde_json::from_value(json!({"FutureRelease": time})).unwrap();
            let release =
                request.take_options(now).map(|options| options.future_release.map(|t| t.to_string()));
            assert_eq!(release.map_err(drop), expected.map(|time| time.map(str::to_owned)), "{time}");
        }
        assert!(serde_json::from_value::<Request>(json!({"Date": "yesterday"})).is_err());
    }

    #[test]
    fn extra_is_bounded() {
        let request =
            |size: usize| serde_json::from_value::<Request>(json!({"Extra": {"k": "x".repeat(size)}}));
        assert!(request(EXTRA_MAX - 1).unwrap().take_options(Timestamp::default()).is_ok());
        assert!(request(EXTRA_MAX).unwrap().take_options(Timestamp::default()).is_err());
    }
}

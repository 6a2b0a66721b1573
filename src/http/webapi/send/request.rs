//! The request of `Send`, as JSON has it.

use super::super::or_default;
use crate::{http::error::ApiError, sending::FUTURE_RELEASE_MAX};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use mail::{Timestamp, submitted::MAX_EXTRA};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

/// A message to be sent. A field that is `null` counts as left out.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[schemars(rename = "SendRequest")]
pub(in super::super) struct Request {
    /// The sender, at most one; the address must belong to the account. Without it: the account's full name and
    /// the address of the login.
    #[serde(deserialize_with = "objects")]
    pub(super) from: Vec<NameAddress>,
    /// Primary recipients.
    #[serde(deserialize_with = "objects")]
    pub(super) to: Vec<NameAddress>,
    /// Other recipients.
    #[serde(rename = "CC", deserialize_with = "objects")]
    pub(super) cc: Vec<NameAddress>,
    /// Recipients whom the others do not see.
    #[serde(rename = "BCC", deserialize_with = "objects")]
    pub(super) bcc: Vec<NameAddress>,
    /// Where answers go, when not to the sender.
    #[serde(deserialize_with = "objects")]
    pub(super) reply_to: Vec<NameAddress>,
    /// With angle brackets; made up when empty.
    #[serde(rename = "MessageID", deserialize_with = "or_default")]
    pub(super) message_id: String,
    /// Message identifiers with angle brackets, oldest first. The last one is the message that this one answers.
    #[serde(deserialize_with = "or_default")]
    pub(super) references: Vec<String>,
    /// When it was written; now, when left out.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) date: Option<Time>,
    /// The subject.
    #[serde(deserialize_with = "or_default")]
    pub(super) subject: String,
    /// The message as plain text, with `\n` lines. At least one of `Text` and `HTML` must be there.
    #[serde(deserialize_with = "or_default")]
    pub(super) text: String,
    /// The message as HTML, with `\n` lines.
    #[serde(rename = "HTML", deserialize_with = "or_default")]
    pub(super) html: String,
    /// Facts for the application itself: they travel through the queue, its history and every webhook about the
    /// message, and are not part of the message.
    #[serde(deserialize_with = "or_default")]
    pub(super) extra: BTreeMap<String, String>,
    /// More headers: pairs of name and value.
    #[serde(deserialize_with = "or_default")]
    pub(super) headers: Vec<(String, String)>,
    /// Further full representations of the message, such as an invitation in `text/calendar`.
    #[serde(deserialize_with = "objects")]
    pub(super) alternative_files: Vec<JsonFile>,
    /// Files that the HTML refers to by `cid:` and their content id.
    #[serde(deserialize_with = "objects")]
    pub(super) inline_files: Vec<JsonFile>,
    /// Attachments.
    #[serde(deserialize_with = "objects")]
    pub(super) attached_files: Vec<JsonFile>,
    /// `true`: deliver over verified TLS only. `false`: deliver in any case. Left out: as each destination's
    /// policy says.
    #[serde(rename = "RequireTLS")]
    pub(super) require_tls: Option<bool>,
    /// Not to be delivered before this time, which may lie up to 60 days ahead.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) future_release: Option<Time>,
    /// Keep a copy in the mailbox Sent.
    #[serde(deserialize_with = "or_default")]
    pub(super) save_sent: bool,
}

/// An address with a name.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[schemars(extend("required" = ["Address"]))]
pub(super) struct NameAddress {
    /// The display name; may be empty.
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    /// The address, its domain in Unicode or in A-label form.
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("format" = "idn-email"))]
    pub(super) address: String,
}

/// A file in the request object.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[schemars(rename = "File")]
pub(super) struct JsonFile {
    /// The file name; may be empty.
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    /// A media type. When empty, it is found from the content, else from the name.
    #[serde(deserialize_with = "or_default")]
    pub(super) content_type: String,
    /// What `cid:` URLs in the HTML refer to.
    #[serde(rename = "ContentID", deserialize_with = "or_default")]
    pub(super) content_id: String,
    /// The content in base64.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
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

impl Request {
    /// Checks and takes out what is not about the content. A time that has passed already is as good as none.
    pub(super) fn take_options(&mut self, now: Timestamp) -> Result<SendOptions, ApiError> {
        let future_release = self.future_release.map(|time| time.0).filter(|time| *time > now);
        if future_release.is_some_and(|time| time > now.after(FUTURE_RELEASE_MAX)) {
            return Err(ApiError::user("FutureRelease is more than 60 days ahead; choose an earlier time"));
        }
        let extra = std::mem::take(&mut self.extra);
        if extra.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_EXTRA {
            return Err(ApiError::user(format!("Extra has more than {MAX_EXTRA} octets; shorten it")));
        }
        Ok(SendOptions { require_tls: self.require_tls, future_release, extra, save_sent: self.save_sent })
    }
}

/// A list of objects; `null` is none. serde would also take lists for the objects, by the order of their fields.
fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Object<T>(T);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
            deserializer.deserialize_map(Fields(PhantomData)).map(Object)
        }
    }

    struct Fields<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields))
        }
    }

    let list: Vec<Object<T>> = or_default(deserializer)?;
    Ok(list.into_iter().map(|Object(value)| value).collect())
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
    fn only_objects_are_objects() {
        for (field, entry) in [("To", json!({"Address": "a@b"})), ("InlineFiles", json!({"Data": "aGk="}))] {
            for (value, is_request) in [
                (json!([entry]), true),
                (json!([{}]), true),
                (json!([]), true),
                (json!(null), true),
                (json!([["", "a@b"]]), false),
                (json!([[]]), false),
                (json!([null]), false),
                (json!(["a@b"]), false),
                (json!(entry), false),
            ] {
                let request = serde_json::from_value::<Request>(json!({field: value.clone()}));
                assert_eq!(request.is_ok(), is_request, "{field}: {value}");
            }
        }
    }

    #[test]
    fn extra_is_bounded() {
        let request =
            |size: usize| serde_json::from_value::<Request>(json!({"Extra": {"k": "x".repeat(size)}}));
        assert!(request(MAX_EXTRA - 1).unwrap().take_options(Timestamp::default()).is_ok());
        assert!(request(MAX_EXTRA).unwrap().take_options(Timestamp::default()).is_err());
    }
}

//! What a reader of the event log asks for.

use crate::http::error::ApiError;
use actix_web::web::Query;
use config::Period;
use mail::EventSeq;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use store::records::EventKind;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventQuery {
    /// The event behind which to begin.
    pub(super) after: EventSeq,
    /// At most so many events; at least one.
    pub(super) limit: usize,
    /// Events of these kinds.
    pub(super) kinds: BTreeSet<EventKind>,
    /// How long to wait when there are none.
    pub(super) wait: Duration,
}

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The parameters as they are written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    after: Option<String>,
    limit: Option<String>,
    types: Option<String>,
    wait: Option<String>,
}

/// What may be asked, for the OpenAPI document.
pub(in crate::http) fn parameters() -> Value {
    let names = EventKind::ALL.map(EventKind::name);
    let (limit, wait) = (LIMIT_MAX, WAIT_MAX.as_secs());
    let parameters = [
        (
            "after",
            "The event behind which to begin: `Last` of the answer before.",
            json!({"type": "integer", "minimum": 0}),
        ),
        (
            "limit",
            "The most events of the answer; 100 when not given.",
            json!({"type": "integer", "minimum": 1, "maximum": limit}),
        ),
        (
            "types",
            "Only events of these kinds.",
            json!({"type": "array", "minItems": 1, "items": {"enum": names}}),
        ),
        (
            "wait",
            "Seconds to wait for an event when there is none.",
            json!({"type": "integer", "minimum": 0, "maximum": wait}),
        ),
    ];
    let described = |(name, description, schema): (&str, &str, Value)| {
        let mut parameter = json!({"name": name, "in": "query", "explode": false, "schema": schema});
        parameter["description"] = description.into();
        parameter
    };
    parameters.map(described).into()
}

impl EventQuery {
    /// Reads the query of a URL.
    pub(super) fn parse(query: &str) -> Result<EventQuery, ApiError> {
        let Query(written) = Query::<Written>::from_query(query).map_err(|error| {
            ApiError::protocol(format!("the parameters are after, limit, types and wait: {error}"))
        })?;
        let Written { after, limit, types, wait } = written;
        Ok(EventQuery {
            after: EventSeq(after.as_deref().map_or(Ok(0), |text| number("after", text))?),
            limit: limit.as_deref().map_or(Ok(LIMIT_DEFAULT), parse_limit)?,
            kinds: types.as_deref().map_or(Ok(EventKind::ALL.into()), parse_types)?,
            wait: wait.as_deref().map_or(Ok(Duration::ZERO), parse_wait)?,
        })
    }
}

fn number(name: &str, text: &str) -> Result<u64, ApiError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| ApiError::protocol(format!("{name} is a number, as {name}=17")))
}

fn parse_limit(text: &str) -> Result<usize, ApiError> {
    let limit = usize::try_from(number("limit", text)?).unwrap_or(usize::MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::user(format!("limit is a number from 1 to {LIMIT_MAX}")));
    }
    Ok(limit)
}

fn parse_types(text: &str) -> Result<BTreeSet<EventKind>, ApiError> {
    let kinds: Option<_> = text.split(',').map(|name| EventKind::named(name.trim())).collect();
    kinds.ok_or_else(|| {
        let names = EventKind::ALL.map(EventKind::name).join(", ");
        ApiError::user(format!("types is a list of names with commas between them; there are {names}"))
    })
}

/// A duration, or a number of seconds.
fn parse_wait(text: &str) -> Result<Duration, ApiError> {
    let seconds = number("wait", text).map(Duration::from_secs);
    let wait = seconds.or_else(|_| text.parse().map(|Period(wait)| wait)).map_err(|_| {
        ApiError::protocol("wait is a number of seconds or a duration, as wait=30 or wait=30s")
    })?;
    if wait > WAIT_MAX {
        return Err(ApiError::user(format!("wait is at most {} seconds", WAIT_MAX.as_secs())));
    }
    Ok(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Code;

    #[test]
    fn what_is_not_given_is_the_usual() {
        let usual =
            EventQuery { after: EventSeq(0), limit: 100, kinds: EventKind::ALL.into(), wait: Duration::ZERO };
        let kinds = [EventKind::Delivered, EventKind::Failed].into();
        let seconds = Duration::from_secs;
        for (query, expected) in [
            ("", usual.clone()),
            ("after=17", EventQuery { after: EventSeq(17), ..usual.clone() }),
            ("after=18446744073709551615", EventQuery { after: EventSeq(u64::MAX), ..usual.clone() }),
            ("limit=1", EventQuery { limit: 1, ..usual.clone() }),
            ("limit=1000&after=0", EventQuery { limit: 1000, ..usual.clone() }),
            ("types=failed,delivered", EventQuery { kinds, ..usual.clone() }),
            ("types=failed,%20failed", EventQuery { kinds: [EventKind::Failed].into(), ..usual.clone() }),
            ("wait=30", EventQuery { wait: seconds(30), ..usual.clone() }),
            ("wait=30s", EventQuery { wait: seconds(30), ..usual.clone() }),
            ("wait=1m", EventQuery { wait: seconds(60), ..usual.clone() }),
            ("wait=500ms", EventQuery { wait: Duration::from_millis(500), ..usual.clone() }),
            ("wait=0", usual.clone()),
        ] {
            assert_eq!(EventQuery::parse(query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (query, code, said) in [
            ("after=", Code::Protocol, "after=17"),
            ("after=-1", Code::Protocol, "after"),
            ("after=%2B1", Code::Protocol, "after"),
            ("after=18446744073709551616", Code::Protocol, "after"),
            ("after=1&after=2", Code::Protocol, "after"),
            ("from=1", Code::Protocol, "after, limit, types and wait"),
            ("limit=x", Code::Protocol, "limit"),
            ("limit=0", Code::User, "from 1 to 1000"),
            ("limit=1001", Code::User, "from 1 to 1000"),
            ("types=", Code::User, "queued, attempted, delivered"),
            ("types=delivered,bounced", Code::User, "queued, attempted, delivered"),
            ("types=Delivered", Code::User, "delivered"),
            ("wait=soon", Code::Protocol, "wait=30s"),
            ("wait=", Code::Protocol, "wait=30s"),
            ("wait=61", Code::User, "60 seconds"),
            ("wait=1h", Code::User, "60 seconds"),
        ] {
            let error = EventQuery::parse(query).unwrap_err();
            assert_eq!(error.code, code, "{query}: {}", error.message);
            assert!(error.message.contains(said), "{query}: {}", error.message);
        }
    }
}

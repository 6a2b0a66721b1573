//! The suppression list over the webapi.

use super::{Call, Empty, Result, or_default, parse_address};
use crate::http::{
    Http,
    error::{ApiError, JSON, json},
};
use actix_web::{
    HttpResponse,
    web::{self, Data},
};
use bytes::Bytes;
use futures_util::stream;
use mail::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::records::{SuppressionRecord, SuppressionSource};

/// The most octets of a reason.
const REASON_MAX: usize = SuppressionRecord::REASON_MAX;
/// Entries that are read at a time.
const PAGE: usize = 500;

/// Nothing is asked for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SuppressionListRequest")]
pub(super) struct ListRequest {}

/// An address for the list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[schemars(rename = "SuppressionAddRequest", extend("required" = ["EmailAddress"]))]
pub(super) struct AddRequest {
    /// The address to which nothing is to be sent any more.
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("format" = "idn-email"))]
    email_address: String,
    /// Whether a person asks for it, and not a program.
    #[serde(deserialize_with = "or_default")]
    manual: bool,
    /// Why, for people.
    #[serde(deserialize_with = "or_default")]
    reason: String,
}

/// An address on the list, or not.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[schemars(rename = "SuppressionRequest", extend("required" = ["EmailAddress"]))]
pub(super) struct AddressRequest {
    /// Found by its base address: in lower case, and without what stands between the first `+` and the `@`.
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("format" = "idn-email"))]
    email_address: String,
}

/// Whether an address is on the list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "SuppressionPresentResult")]
pub(super) struct PresentResult {
    /// Nothing is sent to it.
    present: bool,
}

/// The suppression list of the account.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "SuppressionListResult")]
pub(super) struct ListResult<'a> {
    /// Every address on it, in the order of their base addresses.
    suppressions: Vec<Suppression<'a>>,
}

/// An address on the suppression list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct Suppression<'a> {
    /// Of this entry.
    #[serde(rename = "ID")]
    #[schemars(with = "i64")]
    id: u64,
    /// Since when it is on the list.
    #[schemars(extend("format" = "date-time"))]
    created: String,
    /// The name of the account.
    account: &'a str,
    /// What addresses are compared by: in lower case, and without what stands between the first `+` and the `@`.
    base_address: &'a str,
    /// As it was given, or as the message that failed was addressed.
    original_address: String,
    /// Whether a person asked for it.
    manual: bool,
    /// Why, for people.
    reason: &'a str,
}

/// `SuppressionAdd`.
pub(super) async fn add(mut call: Call) -> Result {
    let request: AddRequest = call.request().await?;
    let address = parse_address(&request.email_address)?;
    if request.reason.len() > REASON_MAX {
        return Err(ApiError::user(format!("Reason is longer than {REASON_MAX} octets; shorten it")));
    }
    let source = if request.manual { SuppressionSource::Manual } else { SuppressionSource::Application };
    let suppressions = &call.http.app.handles.suppressions;
    suppressions.add(call.login.account.id, address, request.reason, source).await?;
    Ok(json(&Empty {}))
}

/// `SuppressionRemove`.
pub(super) async fn remove(mut call: Call) -> Result {
    let request: AddressRequest = call.request().await?;
    let address = parse_address(&request.email_address)?;
    call.http.app.handles.suppressions.remove(call.login.account.id, &address).await?;
    Ok(json(&Empty {}))
}

/// `SuppressionPresent`.
pub(super) async fn present(mut call: Call) -> Result {
    let request: AddressRequest = call.request().await?;
    let address = parse_address(&request.email_address)?;
    let account = call.login.account.id;
    let found = call.http.app.handles.store.read(|view| view.suppression(account, &address))?;
    Ok(json(&PresentResult { present: found.is_some() }))
}

/// `SuppressionList`. A list has no bound, so it is read and sent a page at a time.
pub(super) async fn list(mut call: Call) -> Result {
    let ListRequest {} = call.request().await?;
    let Call { http, login, .. } = call;
    let account = login.account.id;
    let first = read(http.clone(), account, None).await?;
    let pages = Pages { next: Next::Ready(first), started: false };
    let body = stream::try_unfold(pages, move |mut pages| {
        let (http, login) = (http.clone(), login.clone());
        async move {
            let entries = match pages.next {
                Next::End => return Ok(None),
                Next::Ready(entries) => entries,
                Next::After(base) => read(http, account, Some(base)).await.map_err(broken_off)?,
            };
            let text = write(&entries, &login.account.record.name, pages.started);
            pages.next = match entries.into_iter().nth(PAGE - 1) {
                Some((base, _)) => Next::After(base),
                None => Next::End,
            };
            pages.started = true;
            Ok::<_, actix_web::Error>(Some((Bytes::from(text), pages)))
        }
    });
    Ok(HttpResponse::Ok().content_type(JSON).streaming(body))
}

type Entries = Vec<(String, SuppressionRecord)>;

struct Pages {
    next: Next,
    started: bool,
}

enum Next {
    Ready(Entries),
    After(String),
    End,
}

async fn read(
    http: Data<Http>,
    account: AccountId,
    after: Option<String>,
) -> std::result::Result<Entries, ApiError> {
    let read = move || http.app.handles.store.read(|view| view.suppressions(account, after.as_deref(), PAGE));
    Ok(web::block(read).await??)
}

/// A piece of the answer: a full page has one after it.
fn write(entries: &Entries, account: &str, started: bool) -> Vec<u8> {
    let mut text = if started { Vec::new() } else { b"{\"Suppressions\":[".to_vec() };
    for (number, (base, record)) in entries.iter().enumerate() {
        if started || number > 0 {
            text.push(b',');
        }
        let suppression = Suppression {
            id: record.id.0,
            created: record.created.to_string(),
            account,
            base_address: base,
            original_address: record.original.to_string(),
            manual: record.source == SuppressionSource::Manual,
            reason: &record.reason,
        };
        serde_json::to_writer(&mut text, &suppression).expect("it is made of strings and numbers");
    }
    if entries.len() < PAGE {
        text.extend_from_slice(b"]}");
    }
    text
}

/// After the first page there is no other way to tell of an error than to close the connection.
fn broken_off(error: ApiError) -> actix_web::Error {
    actix_web::error::ErrorInternalServerError(error.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::TestServer;
    use serde_json::json;

    #[actix_web::test]
    async fn an_address_is_on_the_list_by_its_base_address() {
        let server = TestServer::start().await;
        let present = async |address: &str| {
            server.call("SuppressionPresent", json!({"EmailAddress": address})).await.json()["Present"]
                .clone()
        };
        assert_eq!(present("a@b.example").await, false);
        let add = json!({"EmailAddress": "A+x@B.example", "Manual": true, "Reason": "asked"});
        assert_eq!(server.call("SuppressionAdd", add).await.json(), json!({}));
        assert_eq!(present("a@b.example").await, true);
        let again = server.call("SuppressionAdd", json!({"EmailAddress": "a@b.example"})).await;
        assert_eq!(again.error(), (400, "error".into()));

        let others =
            server.call_as("other@localhost", "SuppressionPresent", json!({"EmailAddress": "a@b.example"}));
        assert_eq!(others.await.json()["Present"], false);

        let remove = json!({"EmailAddress": "a+y@b.example"});
        assert_eq!(server.call("SuppressionRemove", remove.clone()).await.json(), json!({}));
        assert_eq!(server.call("SuppressionRemove", remove).await.error(), (400, "error".into()));
        assert_eq!(present("a@b.example").await, false);
    }

    #[actix_web::test]
    async fn the_list_shows_addresses_in_unicode() {
        let server = TestServer::start().await;
        assert_eq!(server.call("SuppressionList", json!({})).await.json(), json!({"Suppressions": []}));
        let add = json!({"EmailAddress": "A+x@xn--bcher-kva.example", "Reason": null});
        server.call("SuppressionAdd", add).await;
        let list = server.call("SuppressionList", json!({})).await.json();
        let entry = &list["Suppressions"][0];
        assert!(entry["Created"].as_str().unwrap().starts_with("2026-11-22T10:00:"), "{entry}");
        assert_eq!(
            (&entry["ID"], &entry["Account"], &entry["BaseAddress"], &entry["OriginalAddress"]),
            (&json!(1), &json!("rider"), &json!("a@bücher.example"), &json!("A+x@bücher.example"))
        );
        assert_eq!((&entry["Manual"], &entry["Reason"]), (&json!(false), &json!("")));
    }

    #[actix_web::test]
    async fn a_list_of_several_pages_is_whole() {
        let server = TestServer::start().await;
        let account = server.app.handles.store.directory();
        let account = account.accounts().find(|account| account.record.name == "rider").unwrap().id;
        let add = |number| {
            let address = format!("{number:04}@b.example").parse().unwrap();
            server.app.handles.suppressions.add(account, address, String::new(), SuppressionSource::Manual)
        };
        for some in (0..2 * PAGE).collect::<Vec<_>>().chunks(100) {
            let added = futures_util::future::join_all(some.iter().map(add)).await;
            assert!(added.iter().all(|added| added.is_ok()));
        }
        let list = server.call("SuppressionList", json!({})).await.json();
        let bases: Vec<_> =
            list["Suppressions"].as_array().unwrap().iter().map(|e| e["BaseAddress"].clone()).collect();
        let expected: Vec<_> = (0..2 * PAGE).map(|number| json!(format!("{number:04}@b.example"))).collect();
        assert_eq!(bases, expected);
    }

    #[actix_web::test]
    async fn bad_requests_are_refused() {
        let server = TestServer::start().await;
        for (method, request, code) in [
            ("SuppressionAdd", json!({"EmailAddress": "nobody"}), "badAddress"),
            ("SuppressionAdd", json!({}), "badAddress"),
            ("SuppressionRemove", json!({"EmailAddress": "a b@c"}), "badAddress"),
            ("SuppressionPresent", json!({"EmailAddress": 1}), "protocol"),
            ("SuppressionList", json!({"X": 1}), "protocol"),
            ("SuppressionAdd", json!({"EmailAddress": "a@b.example", "Reason": "x".repeat(2_001)}), "user"),
        ] {
            assert_eq!(
                server.call(method, request.clone()).await.error(),
                (400, code.into()),
                "{method} {request}"
            );
        }
    }
}

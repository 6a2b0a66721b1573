//! Messages in mailboxes over the webapi.

use super::{Call, Result, or_default};
use crate::http::error::{ApiError, Code, json};
use actix_web::{HttpResponse, http::header, web};
use bytes::Bytes;
use mail::{
    AccountId, MsgId,
    read::{Message, ReadMessage, Structure},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{StoreError, View, records::MessageRecord};

/// A message in a mailbox of the account.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["MsgID"]))]
pub(super) struct MessageRequest {
    /// The id of the message, as the incoming webhook tells it.
    #[serde(rename = "MsgID", deserialize_with = "or_default")]
    msg_id: i64,
}

/// What a message says, how it is built, and how it came.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "MessageGetResult")]
pub(super) struct GetResult {
    /// Headers and texts.
    message: Message,
    /// The MIME parts.
    structure: Structure,
    /// The facts of its arrival.
    meta: Meta,
}

/// How a message came, and where it is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "MessageMeta")]
struct Meta {
    /// Octets of the raw message.
    #[schemars(with = "i64")]
    size: u64,
    /// Whether it reports what became of another message.
    #[serde(rename = "DSN")]
    dsn: bool,
    /// Flags and keywords, in lower case.
    flags: Vec<String>,
    /// The return path of the SMTP session; empty when there was none.
    mail_from: String,
    /// Whether SPF vouches for it.
    mail_from_validated: bool,
    /// The recipient of the SMTP session.
    rcpt_to: String,
    /// The address of the From header.
    msg_from: String,
    /// Whether SPF or DKIM vouches for its domain.
    msg_from_validated: bool,
    /// Domains with a good DKIM signature.
    #[serde(rename = "DKIMVerifiedDomains")]
    dkim_verified_domains: Vec<String>,
    /// From where it came; empty for what was sent here.
    #[serde(rename = "RemoteIP")]
    remote_ip: String,
    /// The mailbox it is in.
    mailbox_name: String,
}

impl Meta {
    fn new(record: MessageRecord, mailbox_name: String) -> Meta {
        Meta {
            size: record.size,
            dsn: record.dsn,
            flags: record.flags,
            mail_from: record.mail_from.to_string(),
            mail_from_validated: record.mail_from_validated,
            rcpt_to: record.rcpt_to.map(|address| address.to_string()).unwrap_or_default(),
            msg_from: record.msg_from.map(|address| address.to_string()).unwrap_or_default(),
            msg_from_validated: record.msg_from_validated,
            dkim_verified_domains: record.dkim_verified_domains,
            remote_ip: record.remote_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            mailbox_name,
        }
    }
}

/// `MessageGet`.
pub(super) async fn get(call: Call) -> Result {
    let found = find(call, |stored| {
        let ReadMessage { message, structure, .. } = mail::read::read(&stored.raw);
        GetResult { message, structure, meta: Meta::new(stored.record, stored.mailbox_name) }
    });
    found.await.map(|result| json(&result))
}

/// `MessageRawGet`.
pub(super) async fn raw_get(call: Call) -> Result {
    let raw = find(call, |stored| stored.raw).await?;
    let mut response = HttpResponse::Ok();
    // A browser must not take somebody's mail for a page of this server.
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Ok(response.content_type("text/plain").body(raw))
}

/// A message of an account.
struct Stored {
    record: MessageRecord,
    mailbox_name: String,
    raw: Bytes,
}

/// Finds the message that a call is about, and makes something of it, both off the reactor.
async fn find<T: Send + 'static>(
    call: Call,
    make: impl FnOnce(Stored) -> T + Send + 'static,
) -> std::result::Result<T, ApiError> {
    let request: MessageRequest = call.request().await?;
    let account = call.login.account.id;
    let not_found = || ApiError::new(Code::MessageNotFound, "there is no message with this MsgID");
    let id = u64::try_from(request.msg_id).map(MsgId).map_err(|_| not_found())?;
    let http = call.http.clone();
    let found = web::block(move || {
        let stored = http.app.handles.store.read(|view| stored(view, account, id))?;
        Ok::<_, StoreError>(stored.map(make))
    });
    found.await??.ok_or_else(not_found)
}

fn stored(view: &View<'_>, account: AccountId, id: MsgId) -> std::result::Result<Option<Stored>, StoreError> {
    let Some(record) = view.mailbox_message(id)?.filter(|record| record.account == account) else {
        return Ok(None);
    };
    let Some(raw) = view.content(record.content)? else { return Ok(None) };
    let mailbox_name = view.mailbox(account, record.mailbox)?.map(|mailbox| mailbox.name).unwrap_or_default();
    Ok(Some(Stored { record, mailbox_name, raw }))
}

#[cfg(test)]
mod tests {
    use crate::http::testing::{NOW, TestServer};
    use mail::ReversePath;
    use serde_json::json;
    use store::{Arrival, ArrivalRecipient};

    const RAW: &str = "From: A <a@b.example>\r\nTo: rider@localhost\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n\
        Message-ID: <1@b.example>\r\nDate: Sun, 22 Nov 2026 11:00:00 +0100\r\n\r\nHello\r\n";

    async fn arrived(server: &TestServer) -> u64 {
        let directory = server.app.handles.store.directory();
        let account = directory.accounts().find(|account| account.record.name == "rider").unwrap().id;
        let arrival = Arrival {
            now: NOW,
            content: server.app.handles.store.stage([0; 16], RAW.into()).unwrap(),
            size: RAW.len() as u64,
            recipients: vec![ArrivalRecipient {
                account,
                rcpt_to: "rider@localhost".parse().unwrap(),
                from_id: None,
            }],
            mail_from: ReversePath::Null,
            mail_from_validated: true,
            msg_from: Some("a@xn--bcher-kva.example".parse().unwrap()),
            msg_from_validated: false,
            dkim_verified_domains: vec!["b.example".into()],
            remote_ip: Some([192, 0, 2, 9].into()),
            dsn: false,
            automated: false,
        };
        server.app.handles.writer.arrive(arrival).await.unwrap()[0].0
    }

    #[actix_web::test]
    async fn a_message_is_shown_with_its_structure_and_the_facts_of_its_arrival() {
        let server = TestServer::start().await;
        let id = arrived(&server).await;
        let answer = server.call("MessageGet", json!({"MsgID": id})).await.json();
        assert_eq!(
            answer["Message"],
            json!({
                "From": [{"Name": "A", "Address": "a@b.example"}],
                "To": [{"Name": "", "Address": "rider@localhost"}],
                "CC": [], "BCC": [], "ReplyTo": [], "MessageID": "<1@b.example>", "References": [],
                "Date": "2026-11-22T10:00:00Z", "Subject": "hé", "Text": "Hello\n", "HTML": "",
            })
        );
        assert_eq!(
            answer["Structure"],
            json!({
                "ContentType": "text/plain", "ContentTypeParams": {}, "ContentID": "", "ContentDisposition": "",
                "Filename": "", "DecodedSize": 7, "Parts": [],
            })
        );
        assert_eq!(
            answer["Meta"],
            json!({
                "Size": RAW.len(), "DSN": false, "Flags": [], "MailFrom": "", "MailFromValidated": true,
                "RcptTo": "rider@localhost", "MsgFrom": "a@bücher.example", "MsgFromValidated": false,
                "DKIMVerifiedDomains": ["b.example"], "RemoteIP": "192.0.2.9", "MailboxName": "Inbox",
            })
        );
    }

    #[actix_web::test]
    async fn a_raw_message_is_given_as_it_came() {
        let server = TestServer::start().await;
        let id = arrived(&server).await;
        let answer = server.call("MessageRawGet", json!({"MsgID": id})).await;
        assert_eq!((answer.status, &*answer.body), (200, RAW));
        assert_eq!(answer.headers.get("content-type").unwrap(), "text/plain");
    }

    #[actix_web::test]
    async fn other_peoples_messages_are_not_found() {
        let server = TestServer::start().await;
        let id = arrived(&server).await;
        let not_found = (400, "messageNotFound".to_owned());
        for method in ["MessageGet", "MessageRawGet"] {
            assert_eq!(
                server.call_as("other@localhost", method, json!({"MsgID": id})).await.error(),
                not_found
            );
            for id in [json!(id + 1), json!(-1), json!(0), json!(null)] {
                assert_eq!(server.call(method, json!({"MsgID": id})).await.error(), not_found);
            }
            assert_eq!(server.call(method, json!({"MsgID": "1"})).await.error(), (400, "protocol".into()));
        }
    }
}

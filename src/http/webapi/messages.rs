//! Messages in mailboxes over the webapi.

use super::{Call, Empty, Result, or_default, shortened};
use crate::http::{
    error::{ApiError, Code, json},
    file_body::file_body,
    memory,
};
use actix_web::{HttpResponse, web};
use actors::WriteError;
use bytes::Bytes;
use mail::{
    Flag, MsgId,
    read::{Message, ReadMessage, Structure},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Content, MessageAction, Refusal, records::MessageRecord};

/// Flags that one call may name.
const FLAGS_MAX: usize = 1_000;

/// A message in a mailbox of the account.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["MsgID"]))]
pub(super) struct MessageRequest {
    /// The id of the message, as the incoming webhook tells it.
    #[serde(rename = "MsgID", deserialize_with = "or_default")]
    msg_id: i64,
}

/// A part of a message.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["MsgID"]))]
pub(super) struct PartRequest {
    /// The id of the message.
    #[serde(rename = "MsgID", deserialize_with = "or_default")]
    msg_id: i64,
    /// The index of the part among its siblings at each level of the structure, outermost first; none for the whole
    /// body.
    #[serde(rename = "PartPath", deserialize_with = "or_default")]
    part_path: Vec<i64>,
}

/// Flags of a message.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["MsgID"]))]
pub(super) struct FlagsRequest {
    /// The id of the message.
    #[serde(rename = "MsgID", deserialize_with = "or_default")]
    msg_id: i64,
    /// System flags such as `\seen`, and keywords, in whatever case.
    #[serde(rename = "Flags", deserialize_with = "or_default")]
    flags: Vec<String>,
}

/// A message and where it is to be.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["MsgID", "DestMailboxName"]))]
pub(super) struct MoveRequest {
    /// The id of the message.
    #[serde(rename = "MsgID", deserialize_with = "or_default")]
    msg_id: i64,
    /// Another mailbox of the account: `Inbox`, `Sent`, `Archive`, `Trash`, `Drafts` or `Junk`.
    #[serde(rename = "DestMailboxName", deserialize_with = "or_default")]
    dest_mailbox_name: String,
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
    #[schemars(with = "Vec<String>")]
    flags: Vec<Flag>,
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
pub(super) async fn get(mut call: Call) -> Result {
    let MessageRequest { msg_id } = call.request().await?;
    let (record, mailbox_name) = find(&call, msg_id)?;
    let read = read_whole(&call, &record, |raw| Ok(mail::read::read(&raw))).await?;
    let ReadMessage { message, structure, .. } = read;
    Ok(json(&GetResult { message, structure, meta: Meta::new(record, mailbox_name) }))
}

/// `MessageRawGet`.
pub(super) async fn raw_get(mut call: Call) -> Result {
    let MessageRequest { msg_id } = call.request().await?;
    let (record, _) = find(&call, msg_id)?;
    let http = call.http.clone();
    let content =
        web::block(move || http.app.handles.store.read(|view| view.open_content(record.content))).await??;
    Ok(bytes("text/plain", content.ok_or_else(not_found)?))
}

/// `MessagePartGet`.
pub(super) async fn part_get(mut call: Call) -> Result {
    let PartRequest { msg_id, part_path } = call.request().await?;
    let (record, _) = find(&call, msg_id)?;
    let spools = call.http.spools.clone();
    let (content_type, content) = read_whole(&call, &record, move |raw| {
        let path: Option<Vec<_>> = part_path.into_iter().map(|index| usize::try_from(index).ok()).collect();
        let part = path.and_then(|path| mail::read::part(&raw, &path)).ok_or_else(|| {
            ApiError::new(Code::PartNotFound, "the message has no part at this PartPath; see its Structure")
        })?;
        let content = if part.bytes.len() > memory::SMALL {
            let file = spools.file_of(&part.bytes)?;
            Content::File { file, size: part.bytes.len() as u64 }
        } else {
            Content::Bytes(Bytes::copy_from_slice(&part.bytes))
        };
        Ok((part.content_type, content))
    })
    .await?;
    Ok(bytes(&content_type, content))
}

/// `MessageDelete`.
pub(super) async fn delete(mut call: Call) -> Result {
    let MessageRequest { msg_id } = call.request().await?;
    change(&call, msg_id, MessageAction::Delete).await
}

/// `MessageFlagsAdd`.
pub(super) async fn flags_add(mut call: Call) -> Result {
    let FlagsRequest { msg_id, flags } = call.request().await?;
    change(&call, msg_id, MessageAction::AddFlags(parse_flags(&flags)?)).await
}

/// `MessageFlagsRemove`.
pub(super) async fn flags_remove(mut call: Call) -> Result {
    let FlagsRequest { msg_id, flags } = call.request().await?;
    change(&call, msg_id, MessageAction::RemoveFlags(parse_flags(&flags)?)).await
}

/// `MessageMove`.
pub(super) async fn move_to(mut call: Call) -> Result {
    let MoveRequest { msg_id, dest_mailbox_name } = call.request().await?;
    change(&call, msg_id, MessageAction::Move(dest_mailbox_name)).await
}

/// What somebody else wrote; see `pages::disarm`.
fn bytes(content_type: &str, content: Content) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(content_type);
    match content {
        Content::Bytes(bytes) => response.body(bytes),
        Content::File { file, size } => response.body(file_body(file, size)),
    }
}

fn parse_flags(texts: &[String]) -> std::result::Result<Vec<Flag>, ApiError> {
    if texts.len() > FLAGS_MAX {
        return Err(ApiError::user(format!("Flags has more than {FLAGS_MAX} flags")));
    }
    let parse = |text: &String| {
        Flag::parse(text).map_err(|error| ApiError::user(format!("Flags: {:?}: {error}", shortened(text))))
    };
    texts.iter().map(parse).collect()
}

async fn change(call: &Call, msg_id: i64, action: MessageAction) -> Result {
    let id = parse_id(msg_id)?;
    let changed = call.http.app.handles.writer.change_message(call.login.account.id, id, action).await;
    match changed {
        Ok(()) => Ok(json(&Empty {})),
        Err(WriteError::Refused(Refusal::NotFound)) => Err(not_found()),
        Err(error) => Err(error.into()),
    }
}

/// The message that a call is about, and the name of its mailbox.
fn find(call: &Call, msg_id: i64) -> std::result::Result<(MessageRecord, String), ApiError> {
    let account = call.login.account.id;
    let id = parse_id(msg_id)?;
    let found = call.http.app.handles.store.read(|view| {
        let Some(record) = view.mailbox_message(id)?.filter(|record| record.account == account) else {
            return Ok(None);
        };
        let mailbox = view.mailbox(account, record.mailbox)?;
        Ok(Some((record, mailbox.map(|mailbox| mailbox.name).unwrap_or_default())))
    })?;
    found.ok_or_else(not_found)
}

/// Makes something of the octets of a message, where that holds up nobody, and once there is memory for them and for
/// what they are decoded to.
async fn read_whole<T: Send + 'static>(
    call: &Call,
    record: &MessageRecord,
    make: impl FnOnce(Bytes) -> std::result::Result<T, ApiError> + Send + 'static,
) -> std::result::Result<T, ApiError> {
    let size = usize::try_from(record.size).unwrap_or(usize::MAX);
    let reserved = call.http.memory.reserve(size.saturating_mul(2)).await?;
    let (http, content) = (call.http.clone(), record.content);
    web::block(move || {
        // Held to the end, even when the client goes away meanwhile.
        let _reserved = reserved;
        let raw = http.app.handles.store.read(|view| view.content(content))?;
        make(raw.ok_or_else(not_found)?)
    })
    .await?
}

fn parse_id(msg_id: i64) -> std::result::Result<MsgId, ApiError> {
    u64::try_from(msg_id).map(MsgId).map_err(|_| not_found())
}

fn not_found() -> ApiError {
    ApiError::new(Code::MessageNotFound, "there is no message with this MsgID")
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
        arrived_as(server, RAW).await
    }

    async fn arrived_as(server: &TestServer, raw: &'static str) -> u64 {
        let directory = server.app.handles.store.directory();
        let account = directory.accounts().find(|account| account.record.name == "rider").unwrap().id;
        let arrival = Arrival {
            now: NOW,
            content: server.app.handles.store.stage([0; 16], raw.into()).unwrap(),
            size: raw.len() as u64,
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
            feedback: None,
            returned_from_id: None,
            named: Default::default(),
        };
        server.app.handles.writer.arrive(arrival).await.unwrap()[0].msg.unwrap().0
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
    async fn a_part_is_given_decoded_with_its_type() {
        const PARTS: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            PGI+aMOpPC9iPg==\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
            --c\r\n\r\none\r\n--c\r\nContent-Type: image/png\r\n\r\ntwo\r\n--c--\r\n--b--\r\n";
        let server = TestServer::start().await;
        let id = arrived_as(&server, PARTS).await;
        let whole = PARTS.split_once("\r\n\r\n").unwrap().1;
        for (path, content_type, body) in [
            (json!([0]), "text/html; charset=\"utf-8\"", "<b>hé</b>"),
            (json!([1, 0]), "text/plain", "one"),
            (json!([1, 1]), "image/png", "two"),
            (json!([]), "multipart/mixed", whole),
            (json!(null), "multipart/mixed", whole),
        ] {
            let answer = server.call("MessagePartGet", json!({"MsgID": id, "PartPath": path})).await;
            assert_eq!((answer.status, &*answer.body), (200, body), "{path}");
            assert_eq!(answer.headers.get("content-type").unwrap(), content_type, "{path}");
            assert_eq!(answer.headers.get("x-content-type-options").unwrap(), "nosniff");
            assert!(
                answer.headers.get("content-security-policy").unwrap().to_str().unwrap().contains("sandbox")
            );
        }
        for path in [json!([2]), json!([0, 0]), json!([-1]), json!([i64::MAX]), json!(vec![0; 1000])] {
            let answer = server.call("MessagePartGet", json!({"MsgID": id, "PartPath": path})).await;
            assert_eq!(answer.error(), (400, "partNotFound".into()), "{path}");
        }
        for path in [json!("0"), json!([0.5]), json!([1e30]), json!([[0]])] {
            let answer = server.call("MessagePartGet", json!({"MsgID": id, "PartPath": path})).await;
            assert_eq!(answer.error(), (400, "protocol".into()), "{path}");
        }
    }

    #[actix_web::test]
    async fn other_peoples_messages_are_not_found() {
        let server = TestServer::start().await;
        let id = arrived(&server).await;
        let not_found = (400, "messageNotFound".to_owned());
        for method in [
            "MessageGet",
            "MessageRawGet",
            "MessagePartGet",
            "MessageDelete",
            "MessageFlagsAdd",
            "MessageFlagsRemove",
            "MessageMove",
        ] {
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

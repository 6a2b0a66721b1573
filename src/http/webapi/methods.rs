//! The methods of the webapi, one row each: routes, pages and the OpenAPI document are made from this table.

use super::{
    Call, Result, messages,
    schema::{SchemaOf, of},
    send, suppressions,
};
use futures_util::future::LocalBoxFuture;

/// A method, for its callers and for those who read about it.
pub(super) struct ApiMethod {
    pub(super) name: &'static str,
    /// What it does, in one sentence.
    pub(super) summary: &'static str,
    /// What else its callers should know; may be empty.
    pub(super) notes: &'static str,
    /// A request object, as a person would write it.
    pub(super) example: &'static str,
    pub(super) request: SchemaOf,
    /// Whether files may come along as parts of the form.
    pub(super) takes_files: bool,
    pub(super) answer: Answer,
    pub(super) call: fn(Call) -> LocalBoxFuture<'static, Result>,
}

/// What a call that was done is answered with.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// A JSON object.
    Json(SchemaOf),
    /// Octets of this media type, which may be `*/*`.
    Bytes(&'static str),
}

/// Every method there is.
pub(super) const METHODS: &[ApiMethod] = &[
    ApiMethod {
        name: "Send",
        summary: "Sends a message to one or more recipients.",
        notes: "When it answers with 200, the message is on stable storage for every recipient. Delivery follows, \
            with retries; webhooks tell what became of it. Files come with the form, or as base64 in the request. \
            With a header Idempotency-Key, a call that is made again with the same key within a day gets the answer \
            of the first, and nothing is queued twice.",
        example: r#"{
  "To": [{"Name": "A friend", "Address": "friend@remote.example"}],
  "Subject": "Hello",
  "Text": "Hi ☺\n",
  "HTML": "<p>Hi <b>☺</b></p>\n",
  "Extra": {"order": "1234"}
}"#,
        request: of::<send::Request>,
        takes_files: true,
        answer: Answer::Json(of::<send::SendResult<'_>>),
        call: |call| Box::pin(send::send(call)),
    },
    ApiMethod {
        name: "SuppressionList",
        summary: "Lists the addresses to which nothing is sent.",
        notes: "",
        example: "{}",
        request: of::<suppressions::ListRequest>,
        takes_files: false,
        answer: Answer::Json(of::<suppressions::ListResult<'_>>),
        call: |call| Box::pin(suppressions::list(call)),
    },
    ApiMethod {
        name: "SuppressionAdd",
        summary: "Puts an address on the suppression list: nothing is sent to it any more.",
        notes: "An address that is on the list already is an `error`.",
        example: r#"{
  "EmailAddress": "gone@remote.example",
  "Manual": true,
  "Reason": "asked by telephone"
}"#,
        request: of::<suppressions::AddRequest>,
        takes_files: false,
        answer: Answer::Json(of::<super::Empty>),
        call: |call| Box::pin(suppressions::add(call)),
    },
    ApiMethod {
        name: "SuppressionRemove",
        summary: "Takes an address from the suppression list.",
        notes: "An address that is not on the list is an `error`.",
        example: r#"{"EmailAddress": "gone@remote.example"}"#,
        request: of::<suppressions::AddressRequest>,
        takes_files: false,
        answer: Answer::Json(of::<super::Empty>),
        call: |call| Box::pin(suppressions::remove(call)),
    },
    ApiMethod {
        name: "SuppressionPresent",
        summary: "Tells whether an address is on the suppression list.",
        notes: "",
        example: r#"{"EmailAddress": "gone@remote.example"}"#,
        request: of::<suppressions::AddressRequest>,
        takes_files: false,
        answer: Answer::Json(of::<suppressions::PresentResult>),
        call: |call| Box::pin(suppressions::present(call)),
    },
    ApiMethod {
        name: "MessageGet",
        summary: "Shows a message: its headers and texts, its structure, and how it came.",
        notes: "Each text is cut at 1 MiB.",
        example: r#"{"MsgID": 1}"#,
        request: of::<messages::MessageRequest>,
        takes_files: false,
        answer: Answer::Json(of::<messages::GetResult>),
        call: |call| Box::pin(messages::get(call)),
    },
    ApiMethod {
        name: "MessageRawGet",
        summary: "Gives a message as it came, with all headers, not decoded.",
        notes: "",
        example: r#"{"MsgID": 1}"#,
        request: of::<messages::MessageRequest>,
        takes_files: false,
        answer: Answer::Bytes("text/plain"),
        call: |call| Box::pin(messages::raw_get(call)),
    },
    ApiMethod {
        name: "MessagePartGet",
        summary: "Gives one part of a message, such as an attached file, decoded.",
        notes: "`MessageGet` shows which parts there are: `[0, 2]` is the third part of the first.",
        example: r#"{"MsgID": 1, "PartPath": [0]}"#,
        request: of::<messages::PartRequest>,
        takes_files: false,
        answer: Answer::Bytes("*/*"),
        call: |call| Box::pin(messages::part_get(call)),
    },
    ApiMethod {
        name: "MessageDelete",
        summary: "Removes a message for good.",
        notes: "To keep it for a while, move it to the mailbox `Trash` instead.",
        example: r#"{"MsgID": 1}"#,
        request: of::<messages::MessageRequest>,
        takes_files: false,
        answer: Answer::Json(of::<super::Empty>),
        call: |call| Box::pin(messages::delete(call)),
    },
    ApiMethod {
        name: "MessageFlagsAdd",
        summary: "Sets flags of a message; those that it has already stay as they are.",
        notes: FLAGS,
        example: r#"{"MsgID": 1, "Flags": ["\\seen", "$forwarded", "invoice"]}"#,
        request: of::<messages::FlagsRequest>,
        takes_files: false,
        answer: Answer::Json(of::<super::Empty>),
        call: |call| Box::pin(messages::flags_add(call)),
    },
    ApiMethod {
        name: "MessageFlagsRemove",
        summary: "Takes flags off a message; others stay as they are.",
        notes: FLAGS,
        example: r#"{"MsgID": 1, "Flags": ["\\seen"]}"#,
        request: of::<messages::FlagsRequest>,
        takes_files: false,
        answer: Answer::Json(of::<super::Empty>),
        call: |call| Box::pin(messages::flags_remove(call)),
    },
    ApiMethod {
        name: "MessageMove",
        summary: "Moves a message to another mailbox of the account.",
        notes: "",
        example: r#"{"MsgID": 1, "DestMailboxName": "Archive"}"#,
        request: of::<messages::MoveRequest>,
        takes_files: false,
        answer: Answer::Json(of::<super::Empty>),
        call: |call| Box::pin(messages::move_to(call)),
    },
];

const FLAGS: &str = r"Flags are `\seen`, `\answered`, `\flagged`, `\deleted`, `\draft`, well-known keywords such as `$forwarded`, `$junk`, `$notjunk`, `$phishing` and `$mdnsent`, and at most 100 keywords of your own.";

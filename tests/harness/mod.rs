//! What the tests stand on: the real server, as a child process or inside their own, and the peers that it talks to.

mod api;
mod embedded;
mod forms;
mod hook_receiver;
mod http_client;
mod judge;
mod load;
mod server;
mod smtp_client;
mod smtp_peer;
mod wait;

pub(crate) use api::{Answer, Api, PASSWORD, USER};
pub(crate) use embedded::{Embedded, account, address, domain};
pub(crate) use forms::{FilePart, Multipart, urlencoded};
pub(crate) use hook_receiver::{HookAnswer, HookReceiver};
pub(crate) use http_client::{HttpClient, post_head};
pub(crate) use judge::{Court, judge, judges_program};
pub(crate) use load::{Load, all_delivered};
pub(crate) use server::{Sent, Server, message, message_to, refused_start};
pub(crate) use smtp_client::SmtpClient;
pub(crate) use smtp_peer::{Action, Moment, SmtpPeer, Verb};
pub(crate) use wait::{PATIENCE, eventually};

//! What the tests stand on: the real server as a child process, and the peers that it talks to.

mod forms;
mod hook_receiver;
mod http_client;
mod judge;
mod load;
mod server;
mod smtp_client;
mod smtp_peer;
mod wait;

pub(crate) use forms::{FilePart, Multipart, urlencoded};
pub(crate) use hook_receiver::{HookAnswer, HookReceiver};
pub(crate) use http_client::{HttpClient, post_head};
pub(crate) use judge::{Court, judge};
pub(crate) use load::{Load, all_delivered};
pub(crate) use server::{Answer, Api, PASSWORD, Sent, Server, USER, message, message_to, refused_start};
pub(crate) use smtp_client::SmtpClient;
pub(crate) use smtp_peer::{Action, Moment, SmtpPeer, Verb};
pub(crate) use wait::{PATIENCE, eventually};

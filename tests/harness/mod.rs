//! What the tests stand on: the real server, as a child process or inside their own, and the peers that it talks to.

mod api;
mod certificates;
mod dns;
mod embedded;
mod fate;
mod forms;
mod hook_receiver;
mod http_client;
mod judge;
mod load;
mod loopback;
mod pebble;
mod postfix;
mod program;
mod server;
mod signed_dns;
mod smtp_client;
mod smtp_peer;
mod socks;
mod sts_server;
mod wait;

pub(crate) use api::{Answer, Api, PASSWORD, USER};
pub(crate) use certificates::{Identity, TestCa};
pub(crate) use dns::{Asked, DnsServer, Fault};
pub(crate) use embedded::{Embedded, EmbeddedBuilder, account, address, domain, set_timeouts};

pub(crate) use forms::{FilePart, Multipart, urlencoded};
pub(crate) use hook_receiver::{Call, HookAnswer, HookReceiver};
pub(crate) use http_client::{HttpClient, post_head};
pub(crate) use judge::{Court, judge, judges_program, verdict};
pub(crate) use load::{Load, all_delivered};
pub(crate) use loopback::{COMMON_PORT, loopback};
pub(crate) use pebble::{Pebble, free_address};
pub(crate) use postfix::Postfix;
pub(crate) use program::{Done, Serve, Site};
pub(crate) use server::{Sent, Server, message, message_to, refused_start};
pub(crate) use signed_dns::{Security, SignedDns};
pub(crate) use smtp_client::SmtpClient;
pub(crate) use smtp_peer::{Action, Moment, PeerTls, SmtpPeer, SmtpPeerBuilder, Verb};
pub(crate) use socks::SocksProxy;
pub(crate) use sts_server::{StsAnswer, StsServer};
pub(crate) use wait::{PATIENCE, eventually};

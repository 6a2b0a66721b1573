//! What SMTP says: replies, commands, extensions, message data, and the two sides of a session.
//!
//! Everything here is sans-I/O: bytes go in, bytes and steps come out. There are no sockets, no clock and no
//! tasks; a thin driver moves the bytes and keeps the timers whose lengths the sessions name. Addresses are
//! strings here, spelled as on the wire; what they mean is decided elsewhere.

mod chunks;
mod client;
mod command;
mod data;
mod extensions;
mod kept;
mod lines;
mod params;
mod path;
mod reply;
mod sasl;
mod scram;
mod server;
mod transaction;
mod xtext;

pub use client::{ClientSession, ClientStep, Timeouts};
pub use command::{Command, CommandError, MailCommand, RcptCommand};
pub use data::{BareNewline, DataProblem, DataProgress, DataReceiver, DotStuffer, check_newlines};
pub use extensions::{Extensions, FutureRelease, Limits, SizeLimit};
pub use kept::ContentLimits;
pub use lines::{LineError, LineReader};
pub use params::{Body, Hold, Notify, OriginalRecipient, Ret};
pub use reply::{EnhancedCode, ProtocolError, Reply, ReplyParser};
pub use sasl::{Login, LoginError, MalformedLogin};
pub use scram::{ChannelBindings, ScramServerKeys, Sha256};
pub use server::{
    AuthAnswer, AuthOffer, AuthQuestion, Awaited, Envelope, Peer, ReceivedMessage, ServerOptions,
    ServerSession, ServerStep, ServerTimeouts,
};
pub use transaction::{Failure, Phase, Recipient, RecipientResult, Transaction, TransactionResult};
pub use xtext::{decode_xtext, encode_xtext};

//! `[delivery]`: how mail goes out.

use crate::{
    size::{GIB, MIB},
    source::{Section, address, path},
};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// How mail goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The waits between attempts; 1 to 50, each more than zero.
    pub retry: Vec<Duration>,
    /// The port of direct delivery.
    pub port: u16,
    /// Connections to one destination at once; at most `connections_max`.
    pub connections_per_destination_max: usize,
    /// Connections to all destinations together.
    pub connections_max: usize,
    /// Connections beyond those, whose hosts let us wait.
    pub connections_waiting_max: usize,
    /// Bytes of the contents of messages being sent, together.
    pub content_bytes_max: u64,
    /// Connections to a destination of which nothing is known; at most `connections_per_destination_max`.
    pub concurrency_start: usize,
    /// Messages over one connection.
    pub connection_messages_max: usize,
    /// How long a connection without work stays open; zero: not at all.
    pub connection_idle: Duration,
    /// The age at which a connection gets no further message.
    pub connection_age_max: Duration,
    /// Recipients in one transaction.
    pub recipients_per_transaction_max: usize,
    /// For the TCP connection to one address.
    pub connect_timeout: Duration,
    /// For the greeting.
    pub greeting_timeout: Duration,
    /// For the reply to any command that has no timeout of its own.
    pub command_timeout: Duration,
    /// For the reply to DATA.
    pub data_start_timeout: Duration,
    /// For sending each block of a message.
    pub data_block_timeout: Duration,
    /// For the reply to the end of the message.
    pub data_end_timeout: Duration,
    /// How long a destination without work is remembered.
    pub actor_idle: Duration,
    /// The local addresses to send from, at most 64; none: the system chooses.
    pub source_addresses: Vec<IpAddr>,
    /// Due messages that one read of the queue takes up.
    pub due_batch_max: usize,
    /// The port of the servers with MTA-STS policies.
    pub mta_sts_port: u16,
    /// Certificates of authorities to trust besides those of the system.
    pub trusted_ca_file: Option<PathBuf>,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

impl Delivery {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Delivery {
        let base = section.base();
        let timeout = MILLISECOND..=HOUR;
        let delivery = Delivery {
            retry: section.schedule("retry"),
            port: section.number("port", 1..=u16::MAX),
            connections_per_destination_max: section.number("connections_per_destination_max", 1..=10_000),
            connections_max: section.number("connections_max", 1..=100_000),
            connections_waiting_max: section.number("connections_waiting_max", 0..=1_000_000),
            content_bytes_max: section.size("content_bytes_max", MIB..=64 * GIB),
            concurrency_start: section.number("concurrency_start", 1..=10_000),
            connection_messages_max: section.number("connection_messages_max", 1..=1_000_000),
            connection_idle: section.duration("connection_idle", Duration::ZERO..=HOUR),
            connection_age_max: section.duration("connection_age_max", MILLISECOND..=24 * HOUR),
            recipients_per_transaction_max: section.number("recipients_per_transaction_max", 1..=1000),
            connect_timeout: section.duration("connect_timeout", timeout.clone()),
            greeting_timeout: section.duration("greeting_timeout", timeout.clone()),
            command_timeout: section.duration("command_timeout", timeout.clone()),
            data_start_timeout: section.duration("data_start_timeout", timeout.clone()),
            data_block_timeout: section.duration("data_block_timeout", timeout.clone()),
            data_end_timeout: section.duration("data_end_timeout", timeout),
            actor_idle: section.duration("actor_idle", MILLISECOND..=24 * HOUR),
            source_addresses: section.list("source_addresses", 64, address),
            due_batch_max: section.number("due_batch_max", 1..=100_000),
            mta_sts_port: section.number("mta_sts_port", 1..=u16::MAX),
            trusted_ca_file: section.optional("trusted_ca_file", path(base)),
        };
        section.check_pair(
            "concurrency_start",
            "connections_per_destination_max",
            delivery.concurrency_start <= delivery.connections_per_destination_max,
            "at most",
        );
        section.check_pair(
            "connections_per_destination_max",
            "connections_max",
            delivery.connections_per_destination_max <= delivery.connections_max,
            "at most",
        );
        delivery
    }
}

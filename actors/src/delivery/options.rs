//! How messages are delivered, and what single destinations get at most.

use super::RetrySchedule;
use config::DestinationLimits;
use mail::Domain;
use std::{collections::HashSet, net::SocketAddr, time::Duration};

/// How the delivery actors deliver.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// The name said in EHLO.
    pub ehlo_name: String,
    /// Where this server itself takes mail: sending there would be a loop.
    pub own_addresses: HashSet<SocketAddr>,
    /// RFC 5321 4.5.3.2.
    pub timeouts: smtp::Timeouts,
    /// The waits between attempts.
    pub schedule: RetrySchedule,
    /// Connections to one destination at first.
    pub concurrency_start: usize,
    /// Connections to one destination at most.
    pub concurrency_max: usize,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections beyond those, whose hosts are slow to answer.
    pub connections_waiting_max: usize,
    /// Bytes of message contents in memory at a time; one that is larger goes alone.
    pub content_bytes_max: usize,
    /// Messages over one connection.
    pub connection_messages_max: u32,
    /// How long an unused connection is kept.
    pub connection_idle: Duration,
    /// How long a connection is used at all.
    pub connection_age_max: Duration,
    /// Recipients in one transaction.
    pub recipients_max: usize,
    /// Messages taken up at a time.
    pub due_batch_max: usize,
    /// How long an actor without work stays.
    pub actor_idle: Duration,
    /// What some destinations get at most; the first that means a destination counts.
    pub destinations: Vec<DestinationLimits>,
}

/// What one destination gets at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    /// Transactions begun in a minute.
    pub(crate) per_minute: Option<u32>,
    pub(crate) messages_per_connection: u32,
    pub(crate) recipients: usize,
}

impl DeliveryOptions {
    /// The bounds of a destination: of a domain, or of a transport to one host.
    pub(crate) fn bounds(&self, transport: Option<&str>, domain: &str) -> Bounds {
        let domain = Domain::parse(domain).ok();
        let means = |limits: &&DestinationLimits| match &domain {
            Some(domain) => limits.mean_domain(domain),
            None => limits.transports.iter().any(|name| Some(name.as_str()) == transport),
        };
        let limits = self.destinations.iter().find(means);
        let messages = limits
            .and_then(|limits| limits.connection_messages_max)
            .map(|messages| u32::try_from(messages).unwrap_or(u32::MAX));
        Bounds {
            connections: limits.and_then(|limits| limits.connections_max).unwrap_or(self.concurrency_max),
            per_minute: limits.and_then(|limits| limits.messages_per_minute),
            messages_per_connection: messages.unwrap_or(self.connection_messages_max),
            recipients: limits
                .and_then(|limits| limits.recipients_per_transaction_max)
                .unwrap_or(self.recipients_max),
        }
    }
}

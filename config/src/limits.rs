//! `[limits]`: what clients may ask for.

use crate::{
    size::{GIB, KIB},
    source::Section,
};
use std::time::Duration;

/// What clients may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message.
    pub message_size_max: u64,
    /// Bytes of an HTTP request as a whole, and of what large requests and messages may hold in memory together.
    pub request_size_max: u64,
    /// Recipients of one message.
    pub recipients_max: usize,
    /// Bytes of a request that are held in memory while it arrives; at most `request_size_max`.
    pub upload_memory_max: u64,
    /// Connections to each HTTP listener at once.
    pub http_connections_max: usize,
    /// Readers of the event log that wait for events at once.
    pub event_readers_max: usize,
    /// The same of one account; at most `event_readers_max`.
    pub event_readers_per_account_max: usize,
    /// SMTP sessions at once; three quarters of them for incoming mail or submission alone.
    pub smtp_sessions_max: usize,
    /// SMTP sessions at once from one client address; at most `smtp_sessions_max`.
    pub smtp_sessions_per_client_max: usize,
    /// Errors in one SMTP session.
    pub smtp_errors_max: usize,
    /// How long messages may begin in one SMTP session.
    pub smtp_session_time: Duration,
    /// Logins remembered in memory; zero remembers none.
    pub login_cache_entries: u64,
    /// How long a login is remembered.
    pub login_cache_ttl: Duration,
    /// How long running work may go on after SIGTERM.
    pub shutdown_grace: Duration,
}

impl Limits {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Limits {
        let limits = Limits {
            message_size_max: section.size("message_size_max", KIB..=2 * GIB),
            request_size_max: section.size("request_size_max", KIB..=4 * GIB),
            recipients_max: section.number("recipients_max", 1..=100_000),
            upload_memory_max: section.size("upload_memory_max", 0..=GIB),
            http_connections_max: section.number("http_connections_max", 1..=1_000_000),
            event_readers_max: section.number("event_readers_max", 0..=1_000_000),
            event_readers_per_account_max: section.number("event_readers_per_account_max", 0..=1_000_000),
            smtp_sessions_max: section.number("smtp_sessions_max", 1..=1_000_000),
            smtp_sessions_per_client_max: section.number("smtp_sessions_per_client_max", 1..=1_000_000),
            smtp_errors_max: section.number("smtp_errors_max", 1..=1000),
            smtp_session_time: section
                .duration("smtp_session_time", Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)),
            login_cache_entries: section.number("login_cache_entries", 0..=10_000_000),
            login_cache_ttl: section
                .duration("login_cache_ttl", Duration::ZERO..=Duration::from_secs(86_400)),
            shutdown_grace: section.duration("shutdown_grace", Duration::ZERO..=Duration::from_secs(3600)),
        };
        section.check_pair(
            "event_readers_per_account_max",
            "event_readers_max",
            limits.event_readers_per_account_max <= limits.event_readers_max,
            "at most",
        );
        section.check_pair(
            "smtp_sessions_per_client_max",
            "smtp_sessions_max",
            limits.smtp_sessions_per_client_max <= limits.smtp_sessions_max,
            "at most",
        );
        section.check_pair(
            "upload_memory_max",
            "request_size_max",
            limits.upload_memory_max <= limits.request_size_max,
            "at most",
        );
        limits
    }
}

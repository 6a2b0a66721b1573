//! MTA-STS policies of other domains, as fetched (RFC 8461).

use mail::Timestamp;
use serde::{Deserialize, Serialize};

/// A policy of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsPolicyRecord {
    /// The `id` of the TXT record for which it was fetched (3.1).
    pub id: String,
    /// What it demands.
    pub mode: StsMode,
    /// The hosts that may take the domain's mail, some as `*.example.com` (3.2, 4.1).
    pub mx: Vec<String>,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// From this time on it holds no longer.
    pub expires: Timestamp,
}

/// What a policy demands (RFC 8461, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StsMode {
    /// Mail only to hosts that fit.
    Enforce,
    /// Mail to others too, but with reports.
    Testing,
    /// Nothing.
    None,
}

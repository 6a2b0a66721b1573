//! What has to stand in DNS for a domain to send and receive, and whether it does.

mod check;
mod lookup;
mod records;

pub use check::{Checked, Finding, check, to_zone};
pub use lookup::Lookups;
pub use records::{Expected, Facts, Record, dkim_records, records, tlsa};

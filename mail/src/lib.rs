//! What a message is. Pure: no clock, no I/O.

mod address;
mod authentication_results;
mod authors;
mod base_address;
mod compose;
mod content_type;
mod dkim_pem;
mod domain_pattern;
mod draft;
mod dsn;
mod dsn_request;
mod enhanced_code;
pub mod feedback;
mod fields;
mod flag;
mod from_id;
mod ids;
mod mailbox;
mod octets;
pub mod read;
mod route;
mod seven_bit;
mod sign;
pub mod submitted;
mod time;
mod verdict;

pub use address::{Address, AddressError, Domain, Localpart, ReversePath, address_literal};
pub use authentication_results::without_results_of;
pub use authors::{UnclearAuthors, author_domains, from_fields};
pub use base_address::BaseAddress;
pub use compose::{Composed, bcc_header};
pub use content_type::{ContentType, ContentTypeError};
pub use domain_pattern::{DomainPattern, DomainPatternError};
pub use draft::{
    Draft, DraftError, File, HeaderName, HeaderText, MAX_REFERENCES, MessageId, MessageIdError, NameAddress,
    Where,
};
pub use dsn::{DsnAction, DsnReason, DsnRecipient, DsnReport, Returned};
pub use dsn_request::{DsnNotify, DsnRequest, DsnReturn};
pub use enhanced_code::{EnhancedCode, EnhancedCodeError};
pub use flag::{Flag, FlagError};
pub use from_id::{FromId, FromIdError};
pub use ids::*;
pub use octets::{Octets, Source};
pub use route::Route;
pub use seven_bit::{SevenBit, Unconvertible, seven_bit};
pub use sign::{DkimKey, DkimKeyError, DkimSigner, SignError, is_dkim_selector, without_signatures_of};
pub use time::Timestamp;
pub use verdict::{Permanence, Scope, Stage, Verdict, without_names};

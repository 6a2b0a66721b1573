//! From text to values: parsing, laying sources over each other, and reading options with errors collected.

mod environment;
mod nearest;
mod section;
mod tree;
mod values;

pub(crate) use environment::{PREFIX, overlay_environment};
pub(crate) use section::{Reader, Section};
pub(crate) use tree::{Node, Table, Value, overlay, parse_document};
pub(crate) use values::{
    address, choice, choice_of, domain, domain_pattern, flag, host, http_url, listen_address, mail_address,
    nameserver, network, number, path, pem, text, webhook_secret,
};

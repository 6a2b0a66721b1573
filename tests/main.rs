//! Black-box tests: the real server, most often as a child process, with real sockets on free ports. One file a
//! behaviour.
//!
//! `tests/setup` prepares what some of them need: judges in Python, a browser, Node.js, swaks, Knot DNS and Postfix,
//! which wants root.

mod accounts;
mod acme;
mod authentication;
mod browser;
mod clients;
mod config_cli;
mod conversion;
mod dane;
mod delivery;
mod directory_cli;
mod disk_full;
mod dns_server;
mod durability;
mod examples;
mod group_commit;
mod hanging_destinations;
mod harness;
mod hooks;
mod hostile_clients;
mod hostile_content;
mod hostile_peers;
mod limits;
mod mailboxes;
mod main_job;
mod memory;
mod mta_sts;
mod observation;
mod openapi;
mod peers;
mod postfix;
mod queue_cli;
mod quickstart;
mod reading;
mod reports;
mod restart;
mod returns;
mod routing;
mod send_errors;
mod send_files;
mod send_limits;
mod send_properties;
mod serve;
mod sessions;
mod simulated_failures;
mod smtp_in;
mod start_up;
mod suppression_list;
mod tls;
mod tls_peers;
mod transport;
mod transports;
mod typed_clients;

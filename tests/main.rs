//! Black-box tests: the real server as a child process, with real sockets on free ports. One file a behaviour.
//!
//! `tests/setup` prepares the judges in Python that some of them need.

mod authentication;
mod delivery;
mod disk_full;
mod durability;
mod group_commit;
mod harness;
mod hooks;
mod hostile_clients;
mod hostile_content;
mod limits;
mod main_job;
mod memory;
mod observation;
mod peers;
mod reading;
mod restart;
mod send_errors;
mod send_files;
mod send_properties;
mod simulated_failures;
mod smtp_in;
mod start_up;
mod transport;

//! Addresses of this machine that nobody else uses, so that many servers can have the same port.

use std::{
    net::Ipv4Addr,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// The port for servers that are found by name, of which all in a test must have the same.
pub(crate) const COMMON_PORT: u16 = 20_025;

/// An address in 127.0.0.0/8 that no other call gave, in this process and most likely in others.
pub(crate) fn loopback() -> Ipv4Addr {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    assert!(call < 1 << 11, "a process has 2,048 addresses");
    // Processes that run at the same time have numbers near each other. 127.0 is for everybody.
    let host = (1 << 16) + ((process::id() % (1 << 12)) << 11) + call;
    Ipv4Addr::from((127 << 24) | host)
}

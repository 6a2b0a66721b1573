//! Which addresses webhooks may be sent to. Without it, whoever may set a URL could reach the operator's own
//! network through this server.

use config::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Allows public addresses, and the networks that the operator named.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    allowed: Vec<Network>,
}

impl AddressGuard {
    /// Public addresses and these networks.
    pub fn new(allowed: Vec<Network>) -> AddressGuard {
        AddressGuard { allowed }
    }

    /// Whether a call may be made to this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }
}

/// The special-purpose registries of RFC 6890, as far as they are not public.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(a == 0
        || v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || v4.is_documentation()
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || v4.is_multicast()
        || a >= 240)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let segments = v6.segments();
    // 2000::/3 is what is given out; the rest is loopback, local, multicast or not in use.
    let global_unicast = segments[0] & 0xe000 == 0x2000;
    let special = match segments {
        // Teredo and other protocol assignments, documentation.
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        // 6to4 carries an IPv4 address.
        [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            !is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x3fff, second, ..] => second < 0x1000,
        _ => false,
    };
    // NAT64 carries one too.
    let nat64 = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        _ => false,
    };
    nat64 || (global_unicast && !special)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_and_allowed_networks_pass() {
        let guard = AddressGuard::default();
        for (address, expected) in [
            ("8.8.8.8", true),
            ("93.184.216.34", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
        ] {
            assert_eq!(guard.allows(address.parse().unwrap()), expected, "{address}");
        }
        let guard = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(guard.allows("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!guard.allows("10.0.0.1".parse().unwrap()));
    }
}

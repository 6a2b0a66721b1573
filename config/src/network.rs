//! Networks in CIDR notation.

use std::{fmt, net::IpAddr, str::FromStr};

/// An IPv4 or IPv6 network, as `10.0.0.0/8`; a single address is a network of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not an address, or not a prefix length of its family.
    #[error("a network is written as \"10.0.0.0/8\", \"2001:db8::/32\" or an address")]
    Malformed,
    /// The address has bits set behind the prefix, so that one of the two is a mistake.
    #[error("the address has bits behind the prefix; the network is {0}")]
    HostBits(Network),
}

impl Network {
    /// Whether `address` lies in the network. An IPv4 address mapped to IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (of_address, of_network) = (bits(address.to_canonical()), bits(self.address));
        of_address.1 == of_network.1 && (of_address.0 ^ of_network.0) & mask(self.prefix) == 0
    }
}

/// The address in the upper bits, and the length of an address of its family.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Network, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Malformed)?;
        let (value, length) = bits(address);
        let prefix = match prefix {
            None => length,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|p| *p <= length).ok_or(InvalidNetwork::Malformed)?
            }
            Some(_) => return Err(InvalidNetwork::Malformed),
        };
        // A mapped network could never contain anything, as addresses are compared unmapped.
        if address != address.to_canonical() {
            return Err(InvalidNetwork::Malformed);
        }
        let start = value & mask(prefix);
        if start == value {
            return Ok(Network { address, prefix });
        }
        let address = match address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(start >> 96).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(start.into()),
        };
        Err(InvalidNetwork::HostBits(Network { address, prefix }))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_only() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("10.0.0.0/8", "a00::", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::1/128", "::1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork::Malformed), "{text}");
        }
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert!(error.to_string().ends_with("the network is 10.0.0.0/8"), "{error}");
        let error = "2001:db8::1/32".parse::<Network>().unwrap_err();
        assert!(error.to_string().ends_with("the network is 2001:db8::/32"), "{error}");
    }
}

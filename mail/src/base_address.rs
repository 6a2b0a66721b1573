//! What counts as the same mailbox.

use crate::{Address, address::write_localpart};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// The most octets in a base address, so that it fits in a key of the store.
const MAX: usize = 400;

/// An address without what people vary: all addresses that certainly lead to one mailbox have the same.
///
/// The domain is in Unicode, with `googlemail.com` as `gmail.com`. The localpart is in lower case and cut at the
/// first `+`; at Gmail, dots are dropped. A localpart of which that would leave nothing is only put in lower
/// case. Written as an address, and never longer than 400 octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BaseAddress(Box<str>);

impl BaseAddress {
    /// The base address of `address`.
    pub fn of(address: &Address) -> BaseAddress {
        let gmail = matches!(address.domain().as_ascii(), "gmail.com" | "googlemail.com");
        let domain = if gmail { "gmail.com".into() } else { address.domain().to_unicode() };
        let whole = address.localpart().as_str().to_lowercase();
        let cut = whole.split('+').next().unwrap_or_default();
        let base = if gmail { cut.replace('.', "") } else { cut.to_owned() };
        let base = if base.is_empty() { whole } else { base };
        let mut text = String::with_capacity(base.len() + domain.len() + 3);
        write_localpart(&mut text, &base).expect("writing to a String does not fail");
        let domain = match text.len() + 1 + domain.len() {
            // Lower case makes at most three octets of two, quotes at most two of one, and A-labels are bounded
            // by the address, so this form always fits.
            length if length > MAX => address.domain().as_ascii(),
            _ => &domain,
        };
        text.push('@');
        text.push_str(domain);
        BaseAddress(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Address> for BaseAddress {
    fn from(address: &Address) -> BaseAddress {
        BaseAddress::of(address)
    }
}

impl fmt::Display for BaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From text that was a base address before; what is certainly none is refused.
impl<'de> Deserialize<'de> for BaseAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BaseAddress, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        match text.len() <= MAX && text.contains('@') {
            true => Ok(BaseAddress(text)),
            false => Err(de::Error::custom("not a base address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base(text: &str) -> BaseAddress {
        BaseAddress::of(&text.parse().unwrap())
    }

    #[test]
    fn only_what_certainly_leads_to_the_same_mailbox_has_the_same_base() {
        for (text, expected) in [
            ("Jane@Example.org", "jane@example.org"),
            ("Jane+news+old@example.org", "jane@example.org"),
            ("jane.doe@example.org", "jane.doe@example.org"),
            ("jane-doe@example.org", "jane-doe@example.org"),
            ("J.ane.Doe+x.y@GoogleMail.com", "janedoe@gmail.com"),
            ("jane.doe@gmail.com", "janedoe@gmail.com"),
            ("jane.doe@sub.gmail.com", "jane.doe@sub.gmail.com"),
            ("+jane@example.org", "+jane@example.org"),
            ("+J.ane@gmail.com", "+j.ane@gmail.com"),
            (r#"".+x"@gmail.com"#, r#"".+x"@gmail.com"#),
            (r#""A@b"@example.org"#, r#""a@b"@example.org"#),
            ("JÜRGEN@BÜCHER.example", "jürgen@bücher.example"),
            ("jane@xn--bcher-kva.example", "jane@bücher.example"),
        ] {
            assert_eq!(base(text).as_str(), expected, "{text}");
        }
    }

    #[test]
    fn a_domain_that_is_long_in_unicode_stands_in_a_labels() {
        let label = "𐍈".repeat(40);
        let text = format!("{}@{label}.{label}.{label}", "Ⱥ".repeat(32));
        let base = base(&text);
        assert!(text.len() > MAX);
        assert!(base.as_str().len() <= MAX);
        assert!(base.as_str().starts_with("ⱥⱥ") && base.as_str().contains("@xn--"), "{base}");
    }

    proptest! {
        #[test]
        fn a_base_address_is_bounded_and_reads_back(localpart in "[A-Za-z.+\"\\\\Ⱥİ]{1,64}", copies in 1..8usize) {
            let Ok(localpart) = crate::Localpart::from_decoded(&localpart) else { return Ok(()) };
            let domain = ["𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈𐍈"; 8][..copies].join(".").parse()?;
            let Ok(address) = Address::new(localpart, domain) else { return Ok(()) };
            let base = BaseAddress::of(&address);
            prop_assert!(base.as_str().len() <= MAX);
            let deserializer = serde::de::value::StrDeserializer::<de::value::Error>::new(base.as_str());
            prop_assert_eq!(&BaseAddress::deserialize(deserializer)?, &base);
        }
    }

    #[test]
    fn what_was_never_a_base_address_is_not_read_as_one() {
        for text in ["", "jane", &format!("{}@x.example", "a".repeat(400))] {
            let deserializer = serde::de::value::StrDeserializer::<de::value::Error>::new(text);
            assert!(BaseAddress::deserialize(deserializer).is_err(), "{text}");
        }
    }
}

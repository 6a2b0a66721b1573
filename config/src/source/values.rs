//! From a value of the tree to a value of a type, or what is allowed instead.

use super::Value;
use crate::{Host, Network, Period, Size, read_webhook_secret};
use mail::{Address, Domain, DomainPattern, DomainPatternError};
use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

/// Text of at most 4096 bytes without control characters, and not empty.
pub(crate) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) | Value::Raw(text) if text.is_empty() => Err("must not be empty".to_owned()),
        Value::Text(text) | Value::Raw(text) if text.len() > 4096 => {
            Err("must be at most 4096 bytes long".to_owned())
        }
        Value::Text(text) | Value::Raw(text) if text.contains(char::is_control) => {
            Err("must not contain control characters".to_owned())
        }
        Value::Text(text) | Value::Raw(text) => Ok(text),
        other => Err(format!("must be text in quotes, not {}", kind(other))),
    }
}

/// A key in PEM form, of at most 16 KiB; not looked into.
pub(crate) fn pem(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) | Value::Raw(text) if text.len() <= 16 << 10 => Ok(text),
        Value::Text(_) | Value::Raw(_) => Err("must be at most 16KiB long".to_owned()),
        other => Err(format!("must be text in quotes, not {}", kind(other))),
    }
}

/// One character of those.
pub(crate) fn choice_of(value: &Value, characters: &str) -> Result<char, String> {
    let mut given = text(value)?.chars();
    match (given.next(), given.next()) {
        (Some(one), None) if characters.contains(one) => Ok(one),
        _ => Err(format!("must be one of {characters} and not {}", shown(value))),
    }
}

/// A URL of at most 2,048 bytes that can be called.
pub(crate) fn http_url(value: &Value) -> Result<String, String> {
    crate::http_url(text(value)?).map_err(|error| error.to_string())
}

/// What signs webhooks. Errors do not show it.
pub(crate) fn webhook_secret(value: &Value) -> Result<Vec<u8>, String> {
    read_webhook_secret(text(value)?).map_err(|error| error.to_string())
}

pub(crate) fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        Value::Raw(text) if text == "true" => Ok(true),
        Value::Raw(text) if text == "false" => Ok(false),
        other => Err(format!("must be true or false, not {}", shown(other))),
    }
}

pub(crate) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&Value) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let number = match value {
            Value::Integer(number) => Some(*number),
            Value::Raw(text) => text.parse().ok(),
            _ => None,
        };
        number.and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n)).ok_or_else(|| {
            format!("must be a whole number from {} to {}, not {}", range.start(), range.end(), shown(value))
        })
    }
}

pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Value) -> Result<Duration, String> {
    move |value| match value {
        Value::Text(text) | Value::Raw(text) => {
            let Period(duration) = parse(text, value)?;
            let (least, most) = (Period(*range.start()), Period(*range.end()));
            let out = || format!("must be from \"{least}\" to \"{most}\", not {}", shown(value));
            range.contains(&duration).then_some(duration).ok_or_else(out)
        }
        other => {
            Err(format!("must be a duration with its unit, as \"30s\" or \"7m30s\", not {}", shown(other)))
        }
    }
}

pub(crate) fn size(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        let bytes = match value {
            Value::Text(text) | Value::Raw(text) => parse::<Size>(text, value)?.0,
            Value::Integer(bytes) if *bytes >= 0 => bytes.unsigned_abs(),
            other => {
                return Err(format!("must be a size, as \"256KiB\" or \"100MiB\", not {}", shown(other)));
            }
        };
        let (least, most) = (Size(*range.start()), Size(*range.end()));
        let out = || format!("must be from \"{least}\" to \"{most}\", not {}", shown(value));
        range.contains(&bytes).then_some(bytes).ok_or_else(out)
    }
}

/// One of the given names.
pub(crate) fn choice<T: Copy>(names: &'static [(&'static str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let given = text(value).ok();
        names.iter().find(|(name, _)| Some(*name) == given).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = names.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("must be {}, not {}", names.join(" or "), shown(value))
        })
    }
}

/// A path; a relative one starts from `base`.
pub(crate) fn path(base: &Path) -> impl Fn(&Value) -> Result<PathBuf, String> {
    move |value| text(value).map(|path| base.join(path))
}

/// An address of this machine to send from.
pub(crate) fn address(value: &Value) -> Result<IpAddr, String> {
    let address: IpAddr = text(value)?
        .parse()
        .map_err(|_| format!("must be an IP address, as \"192.0.2.1\", not {}", shown(value)))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("must be the address of one machine, not {}", shown(value)));
    }
    Ok(address)
}

pub(crate) fn listen_address(value: &Value) -> Result<SocketAddr, String> {
    text(value)?.parse().map_err(|_| {
        format!("must be \"address:port\", as \"127.0.0.1:8080\" or \"[::]:25\", not {}", shown(value))
    })
}

/// An address, with port 53 unless it has one.
pub(crate) fn nameserver(value: &Value) -> Result<SocketAddr, String> {
    let given = text(value)?;
    let bare = given.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    bare.or_else(|_| given.parse()).map_err(|_| {
        format!("must be \"address\" or \"address:port\", as \"127.0.0.53:53\", not {}", shown(value))
    })
}

pub(crate) fn network(value: &Value) -> Result<Network, String> {
    parse(text(value)?, value)
}

/// A domain by name, not an address literal.
pub(crate) fn domain(value: &Value) -> Result<Domain, String> {
    named_domain(text(value)?, value)
}

pub(crate) fn domain_pattern(value: &Value) -> Result<DomainPattern, String> {
    text(value)?.parse().map_err(|error: DomainPatternError| format!("{error}, not {}", shown(value)))
}

pub(crate) fn host(value: &Value) -> Result<Host, String> {
    let given = text(value)?;
    match given.parse::<IpAddr>() {
        Ok(address) => Ok(Host::Ip(address)),
        Err(_) => named_domain(given, value).map(Host::Name),
    }
}

pub(crate) fn mail_address(value: &Value) -> Result<Address, String> {
    Address::parse(text(value)?).map_err(|error| format!("must be an e-mail address: {error}"))
}

fn named_domain(given: &str, value: &Value) -> Result<Domain, String> {
    match Domain::parse(given) {
        Ok(domain) if !domain.is_literal() => Ok(domain),
        _ => Err(format!("must be a domain name, as \"mail.example.com\", not {}", shown(value))),
    }
}

fn parse<T: std::str::FromStr<Err: Display>>(text: &str, value: &Value) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}, not {}", shown(value)))
}

/// The value as an error shows it, cut short.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Raw(text) => match text.char_indices().nth(60) {
            Some((end, _)) => format!("{:?}...", &text[..end]),
            None => format!("{text:?}"),
        },
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(_) | Value::Table(_) | Value::Other(_) => kind(value).to_owned(),
    }
}

/// What sort of value it is, for errors that must not show it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) | Value::Raw(_) => "text",
        Value::Integer(_) => "a number",
        Value::Flag(_) => "true or false",
        Value::List(_) => "a list",
        Value::Table(_) => "a section",
        Value::Other(name) => name,
    }
}

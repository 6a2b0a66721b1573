//! `[[transports]]`: ways out other than plain direct delivery.

use crate::{
    Host, Secret,
    source::{Section, Value, address, choice, domain, host, number, text},
};
use mail::Domain;
use std::net::IpAddr;

/// A named way out.
#[derive(Clone, Debug)]
pub struct Transport {
    /// Letters, digits, `-`, `_` and `.`, at most 64; no other transport has it.
    pub name: String,
    /// Where mail goes.
    pub way: Way,
}

/// Where mail goes with a transport.
#[derive(Clone, Debug)]
pub enum Way {
    /// To a relay, over SMTP.
    Smtp(Relay),
    /// To a relay, over submission with STARTTLS.
    Submission(Relay),
    /// To a relay, over submission with TLS from the start.
    Submissions(Relay),
    /// By MX, through a SOCKS5 proxy.
    Socks(Socks),
    /// By MX.
    Direct(Direct),
    /// Nowhere.
    Fail(Fail),
}

/// A server that takes mail for everyone.
#[derive(Clone, Debug)]
pub struct Relay {
    /// The server.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What TLS must be like.
    pub tls: RelayTls,
    /// How to log in, where that is needed. Never without TLS.
    pub login: Option<Login>,
}

/// What TLS to a relay must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayTls {
    /// TLS with a certificate that is valid for the host.
    Required,
    /// TLS with any certificate.
    Unverified,
    /// No TLS. Not with [`Way::Submissions`].
    None,
}

/// Who we are to a relay.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A SOCKS5 proxy.
#[derive(Clone, Debug)]
pub struct Socks {
    /// The proxy.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The name to give in EHLO; none: the server's.
    pub hostname: Option<Domain>,
}

/// Direct delivery with a choice of addresses.
#[derive(Clone, Debug)]
pub struct Direct {
    /// The addresses of other servers to use.
    pub family: AddressFamily,
    /// The local addresses to send from, at most 64, of that family; none: those of [`crate::Delivery`].
    pub source_addresses: Vec<IpAddr>,
}

/// Kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv6 and IPv4.
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// A reply to every message.
#[derive(Clone, Debug)]
pub struct Fail {
    /// 400 to 599.
    pub code: u16,
    /// Printable ASCII, at most 400 bytes.
    pub text: String,
}

const RELAY_TLS: &[(&str, RelayTls)] =
    &[("required", RelayTls::Required), ("unverified", RelayTls::Unverified), ("none", RelayTls::None)];
const FAMILIES: &[(&str, AddressFamily)] =
    &[("any", AddressFamily::Any), ("ipv4", AddressFamily::Ipv4), ("ipv6", AddressFamily::Ipv6)];
const WAYS: &str = "needs one of smtp, submission, submissions, socks, direct, fail";

impl Transport {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Option<Transport> {
        let name = section.required("name", transport_name);
        let given =
            ["smtp", "submission", "submissions", "socks", "direct", "fail"].map(|way| section.has(way));
        let ways = [
            section.optional_section("smtp").map(|s| Relay::read(s, 25).map(Way::Smtp)),
            section.optional_section("submission").map(|s| Relay::read(s, 587).map(Way::Submission)),
            section.optional_section("submissions").map(|s| Relay::read_implicit(s).map(Way::Submissions)),
            section.optional_section("socks").map(|s| Socks::read(s).map(Way::Socks)),
            section.optional_section("direct").map(|s| Direct::read(s).map(Way::Direct)),
            section.optional_section("fail").map(|s| Fail::read(s).map(Way::Fail)),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            section.fail("name", &format!("{WAYS}, and only one"));
        }
        let way = ways.into_iter().flatten().flatten().next();
        Some(Transport { name: name?, way: way? })
    }
}

impl Relay {
    fn read(mut section: Section<'_, '_>, default_port: u16) -> Option<Relay> {
        let host = section.required("host", host);
        let port = section.optional("port", number(1..=u16::MAX)).unwrap_or(default_port);
        let tls = section.optional("tls", choice(RELAY_TLS)).unwrap_or(RelayTls::Required);
        let has_password = section.has("password") || section.has("password_file");
        let username = section.optional("username", |value| text(value).map(str::to_owned));
        let password = section.secret("password", "password_file");
        section.check(
            "username",
            username.is_some() == has_password,
            "goes with `password` or `password_file`: both or none",
        );
        section.check(
            "username",
            username.is_none() || tls != RelayTls::None,
            "needs TLS: a login must not go out in the clear",
        );
        let login = username.zip(password).map(|(username, password)| Login { username, password });
        Some(Relay { host: host?, port, tls, login })
    }

    fn read_implicit(section: Section<'_, '_>) -> Option<Relay> {
        let mut section = section;
        let plain = section.is_text("tls", "none");
        section.check(
            "tls",
            !plain,
            "must be \"required\" or \"unverified\": submissions is TLS from the start",
        );
        Relay::read(section, 465)
    }
}

impl Socks {
    fn read(mut section: Section<'_, '_>) -> Option<Socks> {
        let host = section.required("host", host);
        let port = section.optional("port", number(1..=u16::MAX)).unwrap_or(1080);
        let hostname = section.optional("hostname", domain);
        Some(Socks { host: host?, port, hostname })
    }
}

impl Direct {
    fn read(mut section: Section<'_, '_>) -> Option<Direct> {
        let family = section.optional("family", choice(FAMILIES)).unwrap_or(AddressFamily::Any);
        let source_addresses = section.list("source_addresses", 64, address);
        let fits = source_addresses.iter().all(|address| match family {
            AddressFamily::Any => true,
            AddressFamily::Ipv4 => address.is_ipv4(),
            AddressFamily::Ipv6 => address.is_ipv6(),
        });
        section.check("source_addresses", fits, "must be of the family that `family` names");
        Some(Direct { family, source_addresses })
    }
}

impl Fail {
    fn read(mut section: Section<'_, '_>) -> Option<Fail> {
        let code = section.required("code", number(400..=599));
        let text = section.required("text", reply_text);
        Some(Fail { code: code?, text: text? })
    }
}

fn transport_name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.len() > 64 || !name.bytes().all(fits) {
        return Err("must be letters, digits, \"-\", \"_\" and \".\", at most 64".to_owned());
    }
    Ok(name.to_owned())
}

fn reply_text(value: &Value) -> Result<String, String> {
    let reply = text(value)?;
    if reply.len() > 400 || !reply.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("must be printable ASCII, at most 400 bytes".to_owned());
    }
    Ok(reply.to_owned())
}

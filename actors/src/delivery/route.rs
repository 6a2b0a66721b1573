//! Where a message goes: its destination, and the way there.

use super::{dial::Proxy, tls::Requirement};
use config::{AddressFamily, Host, RelayTls, Settings};
use mail::{AccountId, Address, Domain, ReversePath, Route};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use store::{Directory, records::QueueRecord};

/// Chooses destinations, and knows the ways to them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Router(Arc<Ways>);

#[derive(Debug)]
struct Ways {
    /// Of messages without a transport.
    usual: Way,
    transports: HashMap<String, Way>,
    routes: Vec<Route>,
}

/// What decides where a message goes.
#[derive(Clone, Copy, Debug)]
pub struct Journey<'a> {
    /// The account's routes, tried first.
    pub account_routes: &'a [Route],
    /// The routes of the sender's domain, tried next.
    pub domain_routes: &'a [Route],
    /// The sender's domain; `None` for an empty return path.
    pub from: Option<&'a Domain>,
    /// The recipient's domain.
    pub to: &'a Domain,
    /// The transport asked for by name.
    pub transport: Option<&'a str>,
    /// Attempts made so far.
    pub attempts: usize,
}

impl<'a> Journey<'a> {
    /// Of a message that is queued.
    pub fn of(directory: &'a Directory, message: &'a QueueRecord) -> Journey<'a> {
        let journey = Journey::new(directory, message.account, &message.mail_from, &message.recipient);
        Journey { transport: message.transport.as_deref(), attempts: message.attempts.len(), ..journey }
    }

    /// Of a message that is to be queued.
    pub fn new(
        directory: &'a Directory,
        account: AccountId,
        mail_from: &'a ReversePath,
        recipient: &'a Address,
    ) -> Journey<'a> {
        let from = mail_from.address().map(Address::domain);
        let account_routes = directory.account(account).map(|account| account.record.routes.as_slice());
        let domain_routes =
            from.and_then(|from| directory.domain(from)).map(|domain| domain.record.routes.as_slice());
        Journey {
            account_routes: account_routes.unwrap_or_default(),
            domain_routes: domain_routes.unwrap_or_default(),
            from,
            to: recipient.domain(),
            transport: None,
            attempts: 0,
        }
    }
}

/// How mail gets to a destination.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// To the mail exchangers of the recipient's domain.
    Direct(Direct),
    /// To one host, whatever the recipient.
    Relay(Relay),
    /// Nowhere, with this reply.
    Fail { code: u16, text: String },
}

/// How mail exchangers are reached.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    pub(crate) family: AddressFamily,
    /// Of these, one of the family of the host's address is taken.
    pub(crate) source_addresses: Vec<IpAddr>,
    pub(crate) port: u16,
    pub(crate) proxy: Option<Proxy>,
    /// The name in EHLO, when it is not the server's.
    pub(crate) ehlo_name: Option<String>,
}

/// A host that takes mail for everyone.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) target: Target,
    /// TLS before the greeting.
    pub(crate) implicit_tls: bool,
    pub(crate) requirement: Requirement,
    pub(crate) login: Option<smtp::Login>,
}

/// Where a relay is.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// At an address, under a name for history.
    Address { name: String, address: SocketAddr },
    /// At a name to be looked up.
    Name { host: String, port: u16 },
}

impl Router {
    /// Everything goes to one SMTP server, in plain text: for developers and tests.
    pub fn relay(host: impl Into<String>, address: SocketAddr) -> Router {
        let relay = Relay {
            target: Target::Address { name: host.into(), address },
            implicit_tls: false,
            requirement: Requirement::Forbidden,
            login: None,
        };
        let usual = Way::Relay(relay);
        Router(Arc::new(Ways { usual, transports: HashMap::new(), routes: Vec::new() }))
    }

    /// As the settings say: by their routes and transports, and directly where none fits.
    pub fn new(settings: &Settings) -> Router {
        let direct = Direct {
            family: AddressFamily::Any,
            source_addresses: settings.delivery.source_addresses.clone(),
            port: settings.delivery.port,
            proxy: None,
            ehlo_name: None,
        };
        let transports = settings
            .transports
            .iter()
            .map(|transport| (transport.name.clone(), way(&transport.way, &direct)))
            .collect();
        let routes = settings.routes.clone();
        Router(Arc::new(Ways { usual: Way::Direct(direct), transports, routes }))
    }

    /// The delivery actor for a message: one for each recipient domain, or for each relay.
    pub fn destination(&self, journey: &Journey<'_>) -> String {
        let to = journey.to.as_ascii();
        let Some(transport) = journey.transport.or_else(|| self.transport_by_route(journey)) else {
            return to.to_owned();
        };
        match self.0.transports.get(transport) {
            Some(Way::Direct(_)) => format!("{transport}:{to}"),
            // One that is gone from the settings has a destination of its own, which says so.
            Some(Way::Relay(_) | Way::Fail { .. }) | None => format!("{transport}:"),
        }
    }

    /// Whether there is a transport of that name.
    pub fn has_transport(&self, name: &str) -> bool {
        self.0.transports.contains_key(name)
    }

    fn transport_by_route(&self, journey: &Journey<'_>) -> Option<&str> {
        let attempts = u32::try_from(journey.attempts).unwrap_or(u32::MAX);
        let routes = [journey.account_routes, journey.domain_routes].into_iter().flatten();
        // Routes of accounts and domains may name transports that are gone; the next route counts then.
        let known = |route: &&Route| self.0.transports.contains_key(&route.transport);
        let route = routes
            .filter(known)
            .chain(&self.0.routes)
            .find(|route| route.matches(journey.from, journey.to, attempts))?;
        self.0.transports.get_key_value(&route.transport).map(|(name, _)| name.as_str())
    }

    /// The way to a destination, and the recipients' domain where it matters.
    pub(crate) fn way<'d>(&self, destination: &'d str) -> Result<(&Way, &'d str), UnknownTransport<'d>> {
        match split(destination) {
            (None, domain) => Ok((&self.0.usual, domain)),
            (Some(transport), domain) => {
                let way = self.0.transports.get(transport).ok_or(UnknownTransport(transport))?;
                Ok((way, domain))
            }
        }
    }
}

/// A destination's transport, where it has one, and its domain. Address literals have colons too, in brackets.
pub(crate) fn split(destination: &str) -> (Option<&str>, &str) {
    match destination.split_once(':') {
        Some((transport, domain)) if !transport.starts_with('[') => (Some(transport), domain),
        _ => (None, destination),
    }
}

/// A transport that is not in the settings.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the settings have no transport named \"{0}\"; add it, or give the message another one")]
pub(crate) struct UnknownTransport<'d>(&'d str);

fn way(way: &config::Way, usual: &Direct) -> Way {
    match way {
        config::Way::Smtp(relay) | config::Way::Submission(relay) => Way::Relay(relay_way(relay, false)),
        config::Way::Submissions(relay) => Way::Relay(relay_way(relay, true)),
        config::Way::Socks(socks) => Way::Direct(Direct {
            source_addresses: Vec::new(),
            proxy: Some(Proxy { host: socks.host.clone(), port: socks.port }),
            ehlo_name: socks.hostname.as_ref().map(|name| name.as_ascii().to_owned()),
            ..usual.clone()
        }),
        config::Way::Direct(direct) => Way::Direct(Direct {
            family: direct.family,
            source_addresses: match direct.source_addresses.as_slice() {
                [] => usual.source_addresses.clone(),
                own => own.to_vec(),
            },
            ..usual.clone()
        }),
        config::Way::Fail(fail) => Way::Fail { code: fail.code, text: fail.text.clone() },
    }
}

fn relay_way(relay: &config::Relay, implicit_tls: bool) -> Relay {
    let target = match &relay.host {
        Host::Ip(ip) => Target::Address { name: ip.to_string(), address: SocketAddr::new(*ip, relay.port) },
        Host::Name(name) => Target::Name { host: name.as_ascii().to_owned(), port: relay.port },
    };
    let requirement = match relay.tls {
        RelayTls::Required => Requirement::Verified { names: vec![relay.host.to_string()] },
        RelayTls::Unverified => Requirement::AnyCertificate,
        RelayTls::None => Requirement::Forbidden,
    };
    let login = relay.login.as_ref().map(|login| {
        // The settings take neither empty texts nor control characters.
        smtp::Login::new(&login.username, login.password.expose()).expect("the settings are checked")
    });
    Relay { target, implicit_tls, requirement, login }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::DomainPattern;

    fn settings(text: &str) -> Settings {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("postrider.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&path, std::iter::empty()).unwrap()
    }

    fn router() -> Router {
        Router::new(&settings(
            "[[transports]]\nname = \"relay\"\nsmtp = { host = \"192.0.2.1\", tls = \"none\" }\n\
             [[transports]]\nname = \"v4\"\ndirect = { family = \"ipv4\" }\n\
             [[routes]]\ntransport = \"v4\"\nto_domains = [\"old.example\"]\n\
             [[routes]]\ntransport = \"relay\"\nminimum_attempts = 3\n",
        ))
    }

    fn route(transport: &str, to: &[&str]) -> Route {
        Route {
            transport: transport.into(),
            from_domains: Vec::new(),
            to_domains: to.iter().map(|text| DomainPattern::Exactly(Domain::parse(text).unwrap())).collect(),
            minimum_attempts: 0,
        }
    }

    #[test]
    fn the_transport_asked_for_wins_then_account_domain_and_global_routes_in_this_order() {
        let router = router();
        let (account, domain) =
            ([route("relay", &["a.example"])], [route("v4", &["a.example", "b.example"])]);
        let gone = [route("gone", &[])];
        let none: &[Route] = &[];
        for (account_routes, domain_routes, to, transport, attempts, expected) in [
            (none, none, "x.example", None, 0, "x.example"),
            (none, none, "[192.0.2.1]", None, 0, "[192.0.2.1]"),
            (none, none, "[IPv6:2001:db8::1]", None, 0, "[IPv6:2001:db8::1]"),
            (none, none, "x.example", None, 3, "relay:"),
            (none, none, "old.example", None, 3, "v4:old.example"),
            (&account[..], &domain[..], "a.example", None, 0, "relay:"),
            (&account, &domain, "b.example", None, 0, "v4:b.example"),
            (&account, &domain, "b.example", Some("relay"), 0, "relay:"),
            (none, none, "b.example", Some("gone"), 0, "gone:"),
            (&gone, none, "old.example", None, 0, "v4:old.example"),
        ] {
            let to = Domain::parse(to).unwrap();
            let journey = Journey { account_routes, domain_routes, from: None, to: &to, transport, attempts };
            assert_eq!(router.destination(&journey), expected, "{journey:?}");
        }
    }

    #[test]
    fn a_destination_leads_back_to_its_way_and_domain() {
        let router = router();
        for (destination, direct, domain) in [
            ("x.example", true, "x.example"),
            ("[IPv6:2001:db8::1]", true, "[IPv6:2001:db8::1]"),
            ("v4:old.example", true, "old.example"),
            ("v4:[IPv6:2001:db8::1]", true, "[IPv6:2001:db8::1]"),
            ("relay:", false, ""),
        ] {
            let (way, found) = router.way(destination).unwrap();
            assert_eq!((matches!(way, Way::Direct(_)), found), (direct, domain), "{destination}");
        }
        assert!(router.way("gone:").is_err());
    }
}

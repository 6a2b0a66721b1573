//! All settings: defaults, the file and the environment in one value.

use crate::{
    ConfigError, ConfigErrors, Delivery, DestinationLimits, Dns, HttpListener, Limits, Log, Origin,
    Retention, SmtpListener, Store, Tls, Transport, Webhooks, routes,
    source::{PREFIX, Reader, Section, Table, domain, overlay, overlay_environment, parse_document, path},
};
use mail::{Domain, Route};
use std::{
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
};

const DEFAULTS: &str = include_str!("../postrider.toml");
const FILE_MAX: u64 = 4 << 20;
pub(crate) const SECRET_FILE_MAX: u64 = 8 << 10;

/// What the operator chose. Every value is within its bounds, and those that depend on each other agree.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name this server gives itself; `serve` needs one.
    pub hostname: Option<Domain>,
    /// Where the server keeps what it must not lose.
    pub data_dir: PathBuf,
    /// What is logged.
    pub log: Log,
    /// Who answers questions about names.
    pub dns: Dns,
    /// Where the certificate comes from.
    pub tls: Tls,
    /// How the database is kept.
    pub store: Store,
    /// How mail goes out.
    pub delivery: Delivery,
    /// How webhooks are called.
    pub webhooks: Webhooks,
    /// How long things are kept.
    pub retention: Retention,
    /// What clients may ask for.
    pub limits: Limits,
    /// Where HTTP is answered; at most 64, no address twice, none of `smtp` either.
    pub http: Vec<HttpListener>,
    /// Where SMTP is answered; at most 64, no address twice.
    pub smtp: Vec<SmtpListener>,
    /// Ways out by name; at most 1000, no name twice.
    pub transports: Vec<Transport>,
    /// Which messages take which transport, in order; at most 10,000.
    pub routes: Vec<Route>,
    /// What some destinations get at most; the first that means a destination counts; at most 1000.
    pub destinations: Vec<DestinationLimits>,
}

impl Settings {
    /// What counts where nothing is set.
    pub fn defaults() -> Settings {
        let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
        Settings::parse("", Path::new("postrider.toml"), std::iter::empty(), &none)
            .expect("the defaults are compiled in and tested")
    }

    /// Reads the settings file at `path`, at most 4 MiB, lays the variables of `env` over it (see [`environment`]) and
    /// reads the files that hold secrets. Relative paths start from the directory of `path`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, not only the first.
    pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Settings, ConfigErrors> {
        match read_text(path, FILE_MAX) {
            Ok(text) => Settings::parse(&text, path, env, &|path| read_text(path, SECRET_FILE_MAX)),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    fn parse(
        text: &str,
        path: &Path,
        env: impl Iterator<Item = (String, String)>,
        read_file: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Settings, ConfigErrors> {
        let refuse = |errors| ConfigErrors::new(path.to_owned(), errors);
        let (tree, errors) = layers(text, env).map_err(refuse)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut reader = Reader::new(base, read_file, errors);
        let settings = Settings::read(reader.root(tree));
        let errors = reader.finish();
        match settings {
            Some(settings) if errors.is_empty() => Ok(settings),
            Some(_) | None => Err(refuse(errors)),
        }
    }

    fn read(mut root: Section<'_, '_>) -> Option<Settings> {
        let base = root.base();
        let hostname = root.optional("hostname", domain);
        let data_dir = root.required("data_dir", path(base));
        let log = Log::read(root.section("log"));
        let dns = Dns::read(root.section("dns"));
        let tls = Tls::read(root.section("tls"));
        let store = Store::read(root.section("store"));
        let delivery = Delivery::read(root.section("delivery"));
        let webhooks = Webhooks::read(root.section("webhooks"));
        let retention = Retention::read(root.section("retention"));
        let limits = Limits::read(root.section("limits"));
        let http = root.sections("http", 64, |section| HttpListener::read(section, &tls));
        let smtp = root.sections("smtp", 64, |section| SmtpListener::read(section, &tls));
        let transports = root.sections("transports", 1000, Transport::read);
        let routes = root.sections("routes", 10_000, |section| routes::read(section, &transports));
        let destinations =
            root.sections("destinations", 1000, |section| DestinationLimits::read(section, &transports));

        if let Some(address) =
            twice(http.iter().map(|l| l.address).chain(smtp.iter().map(|l| l.address)), is_fixed)
        {
            let key = if smtp.iter().any(|listener| listener.address == address) { "smtp" } else { "http" };
            root.fail(key, &format!("two listeners have the address {address}"));
        }
        if let Some(name) = twice(transports.iter().map(|transport| transport.name.as_str()), |_| true) {
            root.fail("transports", &format!("two transports have the name \"{name}\""));
        }
        Some(Settings {
            hostname,
            data_dir: data_dir?,
            log,
            dns,
            tls,
            store,
            delivery,
            webhooks,
            retention,
            limits,
            http,
            smtp,
            transports,
            routes,
            destinations,
        })
    }
}

/// Every option with its default and the reason for it, as TOML.
pub fn describe() -> &'static str {
    DEFAULTS
}

/// The variables of this process that set options, for [`Settings::load`].
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        // What is no UTF-8 fits no option, and the error about it then names the variable.
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// The defaults with the file and the environment laid over them; and what is wrong with the environment.
fn layers(
    text: &str,
    env: impl Iterator<Item = (String, String)>,
) -> Result<(Table, Vec<ConfigError>), Vec<ConfigError>> {
    let mut tree = parse_document(DEFAULTS)?;
    forget_lines(&mut tree);
    overlay(&mut tree, parse_document(text)?);
    let errors = overlay_environment(&mut tree, env);
    Ok((tree, errors))
}

/// Lines of the defaults mean nothing to an operator.
fn forget_lines(tree: &mut Table) {
    for node in tree.values_mut() {
        node.origin = Origin::Default;
        if let crate::source::Value::Table(inner) = &mut node.value {
            forget_lines(inner);
        }
    }
}

/// That a file cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> ConfigErrors {
    let problem = format!("cannot be read: {error}");
    let error = ConfigError { origin: Origin::Default, key: String::new(), problem };
    ConfigErrors::new(path.to_owned(), vec![error])
}

pub(crate) fn read_text(path: &Path, max: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(max + 1).read_to_string(&mut text)?;
    match u64::try_from(read) {
        Ok(read) if read <= max => Ok(text),
        Ok(_) | Err(_) => Err(io::Error::other(format!("it has more than {max} bytes"))),
    }
}

/// Port 0 stands for any free port, so that two such addresses are not the same.
fn is_fixed(address: &SocketAddr) -> bool {
    address.port() != 0
}

/// The first item that was there before, of those that count.
fn twice<T: Ord + Copy>(items: impl Iterator<Item = T>, counts: impl Fn(&T) -> bool) -> Option<T> {
    let mut seen = std::collections::BTreeSet::new();
    items.filter(counts).find(|item| !seen.insert(*item))
}

#[cfg(test)]
mod tests;

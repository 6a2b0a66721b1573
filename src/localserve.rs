//! `postrider localserve`: a complete server for developing against. No configuration, no root, no network.

use crate::{
    app::{LOCAL_ACCOUNT, LOCAL_ADDRESS, LOCAL_PASSWORD, Mode},
    control::ControlSocket,
    listen::Binder,
    password::Password,
    server::{self, HttpSocket, Server, SmtpSocket, Sockets},
    signals::StopSignals,
    tls::{Certificate, local_certificate},
};
use actors::Router;
use anyhow::Context;
use clap::Args;
use config::{Service, Settings, SmtpRole, shown_url, write_webhook_secret};
use mail::{Address, DkimKey, Domain};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use store::{
    Change, Store, Writer,
    records::{AccountRecord, AddressPattern, DkimKeyRecord, DomainRecord, IncomingWebhook, OutgoingWebhook},
};

const HTTP_PORT: u16 = 1080;
const SMTP_PORT: u16 = 1025;
const SUBMISSION_PORT: u16 = 1587;
const SUBMISSIONS_PORT: u16 = 1465;

/// What the command line says.
#[derive(Args, Debug)]
pub struct LocalserveArgs {
    /// Keep data and generated settings here [default: postrider/localserve in the user's data directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Listen on this address
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// Add this to every port
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=60000))]
    port_offset: u16,
    /// Listen on free ports that the system chooses; the addresses are printed
    #[arg(long, conflicts_with = "port_offset")]
    any_port: bool,
    /// Post what became of sent messages to this URL, from now on; `none`: no longer [default: as at the last start]
    ///
    /// What `directory apply` set beside the URL (authorization, events, every_event) stays.
    #[arg(long, value_name = "URL", value_parser = webhook_choice)]
    outgoing_webhook: Option<WebhookChoice>,
    /// Post messages that arrive to this URL, from now on; `none`: no longer [default: as at the last start]
    ///
    /// What `directory apply` set beside the URL (authorization) stays.
    #[arg(long, value_name = "URL", value_parser = webhook_choice)]
    incoming_webhook: Option<WebhookChoice>,
    /// Deliver to this SMTP server, such as another mail catcher, instead of the Inbox
    #[arg(long, value_name = "IP:PORT")]
    deliver_to: Option<SocketAddr>,
}

/// What a webhook of the rider is to be.
#[derive(Clone, Debug)]
enum WebhookChoice {
    None,
    Url(String),
}

fn webhook_choice(text: &str) -> Result<WebhookChoice, String> {
    match text {
        "none" => Ok(WebhookChoice::None),
        url => {
            config::http_url(url).map(WebhookChoice::Url).map_err(|error| format!("{error}; or give `none`"))
        }
    }
}

/// Runs until a signal says stop.
///
/// # Errors
/// When the data directory or a port is in use, among others.
pub async fn run(args: LocalserveArgs) -> anyhow::Result<()> {
    let settings = settings(&args);
    let hostname = Domain::parse("localhost").expect("localhost is a domain");
    let (store, mut writer) = server::open_store(&settings)?;
    prepare_account(&store, &mut writer, &args).context("preparing the account")?;

    let control = ControlSocket::bind(&settings.data_dir)?;
    let (made, certificate_file) = local_certificate(&settings.data_dir)?;
    let certificate = Arc::<Certificate>::default();
    certificate.set(made);
    let listeners = Listeners::bind(&args)?;
    let addresses = listeners.addresses()?;
    let router = Router::relay("localhost", args.deliver_to.unwrap_or(addresses.smtp));
    let services = BTreeSet::from([Service::Webapi, Service::Metrics]);
    let sockets = Sockets {
        http: vec![HttpSocket { listener: listeners.http, services, trusted_proxies: Vec::new(), tls: None }],
        smtp: [
            (listeners.smtp, SmtpRole::Incoming),
            (listeners.submission, SmtpRole::Submission { auth_without_tls: true }),
            (listeners.submissions, SmtpRole::Submissions),
        ]
        .map(|(listener, role)| {
            // What it delivers to itself needs no TLS.
            let certificate = (role != SmtpRole::Incoming).then(|| certificate.clone());
            SmtpSocket { listener, role, certificate }
        })
        .into(),
        control: Some(control),
        ..Sockets::default()
    };
    let server = Server::start((store, writer), settings, hostname, Mode::Local, router, sockets)?;

    let stop = StopSignals::listen()?;
    greet(&server, &addresses, &certificate_file, &args);
    stop.stop_requested(&server).await?;
    server.stop().await;
    Ok(())
}

/// What it listens on.
struct Listeners<L> {
    http: L,
    smtp: L,
    submission: L,
    submissions: L,
}

impl Listeners<TcpListener> {
    fn bind(args: &LocalserveArgs) -> anyhow::Result<Self> {
        let all = [HTTP_PORT, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT].map(|port| args.address(port));
        let binder = Binder { all: &all, remedy: "choose other ports with --port-offset" };
        Ok(Listeners {
            http: binder.bind(all[0], "HTTP")?,
            smtp: binder.bind(all[1], "SMTP")?,
            submission: binder.bind(all[2], "submission")?,
            submissions: binder.bind(all[3], "submissions")?,
        })
    }

    /// Where they are reached.
    fn addresses(&self) -> io::Result<Listeners<SocketAddr>> {
        let of = |listener: &TcpListener| listener.local_addr().map(reachable);
        Ok(Listeners {
            http: of(&self.http)?,
            smtp: of(&self.smtp)?,
            submission: of(&self.submission)?,
            submissions: of(&self.submissions)?,
        })
    }
}

impl LocalserveArgs {
    fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, if self.any_port { 0 } else { port + self.port_offset })
    }
}

/// Where a developer's server keeps its data unless told otherwise.
pub fn local_data_dir() -> PathBuf {
    config::user_data_dir("postrider").join("localserve")
}

/// The defaults, but for what makes no sense on a developer's machine.
fn settings(args: &LocalserveArgs) -> Settings {
    let mut settings = Settings::defaults();
    settings.data_dir = args.dir.clone().unwrap_or_else(local_data_dir);
    settings.webhooks.allow_networks =
        ["127.0.0.0/8", "::1"].map(|network| network.parse().expect("loopback is a network")).to_vec();
    // Nobody wants to wait ten minutes to see what a timeout does.
    let short = Duration::from_secs(30);
    settings.delivery.greeting_timeout = short;
    settings.delivery.command_timeout = short;
    settings.delivery.data_start_timeout = short;
    settings.delivery.data_end_timeout = short;
    settings.limits.shutdown_grace = Duration::from_secs(5);
    // What is sent is received here too, and a developer's machine has other uses for its memory.
    settings.delivery.content_bytes_max = 64 << 20;
    settings
}

/// Makes the domain and the account at the first start, and sets the webhooks that the command line names at every one.
fn prepare_account(store: &Store, writer: &mut Writer, args: &LocalserveArgs) -> anyhow::Result<()> {
    let directory = store.directory();
    let present = directory.accounts().find(|account| account.record.name == LOCAL_ACCOUNT);
    let mut account = match present {
        Some(present) => present.record.clone(),
        None => new_account()?,
    };
    if let Some(choice) = &args.outgoing_webhook {
        account.outgoing_webhook = outgoing_webhook(choice, account.outgoing_webhook);
    }
    if let Some(choice) = &args.incoming_webhook {
        account.incoming_webhook = incoming_webhook(choice, account.incoming_webhook);
    }
    let mut changes = Vec::new();
    if present.is_none() {
        changes.push(Change::PutDomain(new_domain()?));
    }
    changes.push(Change::PutAccount(account));
    writer.commit(changes.iter())?;
    Ok(())
}

fn outgoing_webhook(choice: &WebhookChoice, before: Option<OutgoingWebhook>) -> Option<OutgoingWebhook> {
    let WebhookChoice::Url(url) = choice else { return None };
    let url = url.clone();
    Some(match before {
        Some(before) => OutgoingWebhook { url, ..before },
        None => OutgoingWebhook { url, authorization: None, events: Vec::new(), every_event: false },
    })
}

fn incoming_webhook(choice: &WebhookChoice, before: Option<IncomingWebhook>) -> Option<IncomingWebhook> {
    let WebhookChoice::Url(url) = choice else { return None };
    Some(IncomingWebhook { url: url.clone(), authorization: before.and_then(|before| before.authorization) })
}

fn new_domain() -> anyhow::Result<DomainRecord> {
    Ok(DomainRecord {
        name: Domain::parse("localhost")?,
        catchall_separator: '+',
        disabled: false,
        dkim: vec![DkimKeyRecord { selector: "localserve".into(), pkcs8: DkimKey::generate_ed25519()? }],
        routes: Vec::new(),
    })
}

fn new_account() -> anyhow::Result<AccountRecord> {
    let (address, password) = (Address::parse(LOCAL_ADDRESS)?, Password::new(LOCAL_PASSWORD)?);
    let keep = Duration::from_secs(72 * 3600);
    Ok(AccountRecord {
        name: LOCAL_ACCOUNT.into(),
        full_name: "Rider".into(),
        password_hash: password.hash(),
        addresses: vec![AddressPattern::Address(address.clone())],
        from_id_login_addresses: vec![address],
        keep_retired_messages: keep,
        keep_retired_hooks: keep,
        dsn_to_inbox: true,
        disabled: false,
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: None,
        incoming_webhook: None,
        webhook_secret: rand::random::<[u8; 24]>().to_vec(),
        created: actors::Clock::system().now(),
        routes: Vec::new(),
        replaced_secret: None,
        scram: Some(password.scram_keys()),
        deduplicate_message_id: false,
    })
}

fn greet(server: &Server, addresses: &Listeners<SocketAddr>, certificate: &Path, args: &LocalserveArgs) {
    let Listeners { http, smtp, submission, submissions } = addresses;
    let data = server.app().settings.data_dir.display();
    println!("postrider {} localserve", env!("CARGO_PKG_VERSION"));
    println!();
    println!("  webapi      http://{http}/webapi/v0/");
    println!("  metrics     http://{http}/metrics");
    println!("  SMTP in     {smtp}");
    println!("  submission  {submission} (with or without STARTTLS)");
    println!("  submissions {submissions} (TLS)");
    println!("  certificate {}", certificate.display());
    println!("  account     {LOCAL_ADDRESS}, password {LOCAL_PASSWORD}");
    println!("  data        {data}");
    let directory = server.app().handles.store.directory();
    for domain in directory.domains() {
        for (key, signer) in domain.record.dkim.iter().zip(&domain.signers) {
            let record = signer.key().dns_record();
            println!("  DKIM        {}._domainkey.{}  {record}", key.selector, domain.record.name);
        }
    }
    for account in directory.accounts() {
        println!("  webhook secret  {}", write_webhook_secret(&account.record.webhook_secret));
    }
    let rider = directory.accounts().find(|account| account.record.name == LOCAL_ACCOUNT);
    let outgoing = rider.and_then(|rider| rider.record.outgoing_webhook.as_ref()).map(|webhook| &webhook.url);
    let incoming = rider.and_then(|rider| rider.record.incoming_webhook.as_ref()).map(|webhook| &webhook.url);
    for (name, url) in [("outgoing", outgoing), ("incoming", incoming)] {
        if let Some(url) = url {
            println!("  {name} webhook  {}", shown_url(url));
        }
    }
    println!();
    match args.deliver_to {
        Some(address) => println!("Mail to any address is delivered to {address}. Try:"),
        None => println!("Mail to any address arrives in the rider's Inbox. Try:"),
    }
    println!();
    println!("  curl --user {LOCAL_ADDRESS}:{LOCAL_PASSWORD} \\");
    println!(
        "    --data-urlencode request='{{\"To\":[{{\"Address\":\"friend@remote.example\"}}],\"Subject\":\"hello\",\"Text\":\"hi ☺\"}}' \\"
    );
    println!("    http://{http}/webapi/v0/Send");
    println!();
}

/// An address to connect to, where one to listen on may mean "all".
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        });
    }
    address
}

//! `postrider quickstart`: from nothing to a server that can be started.

use super::{
    ServerArgs,
    account::NewAccount,
    domain::{looked_up, new_domain, zone_of},
    password::{GivenPassword, made_up},
    print,
};
use crate::directory::DirectoryState;
use actors::Clock;
use anyhow::{Context, bail, ensure};
use clap::Args;
use config::{AccountEntry, Settings};
use mail::{Address, Domain};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    net::{IpAddr, UdpSocket},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use store::{
    DirectoryChange,
    records::{AccountRecord, AddressPattern, DomainRecord},
};

const SETTINGS: &str = "postrider.toml";
const DATA: &str = "data";

/// Options of `quickstart`.
#[derive(Args)]
pub(super) struct QuickstartArgs {
    /// The domain that mail is sent from
    #[arg(value_parser = parsed::<Domain>)]
    domain: Domain,
    /// Your e-mail address: reports go there; when it is in the domain, it becomes the address of the first account
    #[arg(value_parser = parsed::<Address>)]
    email: Address,
    /// Where the settings file and the data directory are made
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The name of this machine [default: mail. and the domain]
    #[arg(long, value_parser = parsed::<Domain>)]
    hostname: Option<Domain>,
}

impl QuickstartArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        ensure!(!self.domain.is_literal(), "DOMAIN must be a name, not an address");
        let hostname = match &self.hostname {
            Some(hostname) => hostname.clone(),
            None => format!("mail.{}", self.domain.as_ascii()).parse()?,
        };
        let now = Clock::system().now();
        let settings = self.dir.join(SETTINGS);
        self.check_free()?;
        let domain = new_domain(self.domain.clone(), now)?;
        let GivenPassword { password, made_up } = made_up()?;
        let account = NewAccount {
            name: self.account_name(),
            full_name: String::new(),
            password,
            addresses: self.addresses()?,
        };
        let mut account = account.record(&Settings::defaults().retention, now);
        // What bounces is then known again, whatever the bounce looks like.
        account.from_id_login_addresses = only_addresses(&account.addresses);

        make_dir(&self.dir)?;
        write_new(&settings, 0o644, &settings_text(&hostname))?;
        self.write_keys(&domain)?;
        let target = ServerArgs::of_file(settings.clone()).target()?;
        let mut access = target.access_or_make()?;
        let change = first_change(&access.directory().await?, &domain, &account);
        access.change_directory(change).await?;
        drop(access);

        print(&self.greeting(&settings, &account, made_up.as_deref().unwrap_or_default()))?;
        match looked_up(&target, &domain, &own_addresses(), &self.email).await {
            Ok(checked) => print(&format!("\n{}", zone_of(&checked))),
            Err(error) => bail!("the settings are made, but DNS could not be asked: {error:#}"),
        }
    }

    /// Nothing that is there is written over.
    fn check_free(&self) -> anyhow::Result<()> {
        for path in [self.dir.join(SETTINGS), self.dir.join(DATA), self.keys()] {
            if path.exists() {
                bail!(
                    "{} is there already, and quickstart writes over nothing; choose another directory with --dir, or to \
                     look at the DNS records only: postrider domain check {} --config {}",
                    path.display(),
                    self.domain,
                    self.dir.join(SETTINGS).display()
                );
            }
        }
        Ok(())
    }

    fn keys(&self) -> PathBuf {
        self.dir.join("dkim")
    }

    fn account_name(&self) -> String {
        let localpart = self.email.localpart().as_str();
        let own = self.email.domain() == &self.domain && AccountEntry::is_name(localpart);
        if own { localpart.to_owned() } else { "app".to_owned() }
    }

    /// Of the account: the e-mail address where it is in the domain, and postmaster, which RFC 5321, 4.5.1 wants.
    fn addresses(&self) -> anyhow::Result<Vec<AddressPattern>> {
        let postmaster = Address::parse(&format!("postmaster@{}", self.domain.as_ascii()))?;
        let mut addresses = Vec::new();
        if self.email.domain() == &self.domain && self.email != postmaster {
            addresses.push(AddressPattern::Address(self.email.clone()));
        }
        addresses.push(AddressPattern::Address(postmaster));
        Ok(addresses)
    }

    fn write_keys(&self, domain: &DomainRecord) -> anyhow::Result<()> {
        make_dir(&self.keys())?;
        for key in &domain.dkim {
            let path =
                self.keys().join(format!("{}._domainkey.{}.pem", key.selector, domain.name.as_ascii()));
            write_new(&path, 0o600, &mail::DkimKey::pem_from_pkcs8(&key.pkcs8))?;
        }
        Ok(())
    }

    fn greeting(&self, settings: &Path, account: &AccountRecord, password: &str) -> String {
        let file = settings.display();
        let login = account.addresses.first().map(crate::directory::written).unwrap_or_default();
        format!(
            "; settings   {file}\n\
             ; data       {}\n\
             ; DKIM keys  {} (copies; the server has its own)\n\
             ; account    {}, login {login}, password {password}\n\
             ;            (the password is shown only now; change it with: postrider account password {2} --config {file})\n\
             ; start      postrider serve --config {file}\n\
             ; check      postrider domain check {} --config {file}\n\
             ;\n\
             ; The DNS records to add, as lines of a zone file:",
            self.dir.join(DATA).display(),
            self.keys().display(),
            account.name,
            self.domain,
        )
    }
}

fn first_change(state: &DirectoryState, domain: &DomainRecord, account: &AccountRecord) -> DirectoryChange {
    DirectoryChange {
        seen: state.generation,
        put_domains: vec![domain.clone()],
        put_accounts: vec![account.clone()],
        ..DirectoryChange::default()
    }
}

fn only_addresses(patterns: &[AddressPattern]) -> Vec<Address> {
    let address = |pattern: &AddressPattern| match pattern {
        AddressPattern::Address(address) => Some(address.clone()),
        AddressPattern::CatchAll(_) => None,
    };
    patterns.iter().filter_map(address).collect()
}

fn settings_text(hostname: &Domain) -> String {
    format!(
        r#"# Postrider's settings. All others, with defaults and reasons: postrider config describe

# The name of this machine. Its address should lead back to it.
hostname = "{hostname}"
data_dir = "{DATA}"

# The webapi, for applications on this machine. For others, put a reverse proxy with TLS in front of it, or set [tls],
# another address, and tls = true.
[[http]]
address = "127.0.0.1:8080"
services = ["webapi", "metrics"]

# The same over SMTP. Nothing else can reach it, so that passwords need no TLS.
[[smtp]]
address = "127.0.0.1:587"
role = "submission"
auth_without_tls = true

# Mail from other servers: answers, and bounces.
[[smtp]]
address = "0.0.0.0:25"
role = "incoming"

# The same over IPv6, where this machine has an address.
#[[smtp]]
#address = "[::]:25"
#role = "incoming"

# A certificate for {hostname}.
#[tls]
#cert_file = "cert.pem"
#key_file = "key.pem"

# With a certificate, applications elsewhere can send over SMTP: with STARTTLS, in place of the listener on port 587
# above, and with TLS from the start.
#[[smtp]]
#address = "0.0.0.0:587"
#role = "submission"
#[[smtp]]
#address = "0.0.0.0:465"
#role = "submissions"
"#
    )
}

fn make_dir(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| path.display().to_string())
}

fn write_new(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).with_context(named)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(named)
}

/// The public addresses that this machine sends from. Asks the routing table; nothing is sent.
fn own_addresses() -> Vec<IpAddr> {
    let towards = |from: &str, to: &str| -> io::Result<IpAddr> {
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    };
    let found = [towards("0.0.0.0:0", "192.0.2.1:9"), towards("[::]:0", "[2001:db8::1]:9")];
    found.into_iter().flatten().filter(is_public).collect()
}

fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

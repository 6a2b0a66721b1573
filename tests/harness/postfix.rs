//! Postfix as a server that takes mail, or that hands it on: an instance of a test's own.

use super::{COMMON_PORT, Identity, eventually, loopback};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Where Debian has the programs of Postfix.
const DAEMONS: &str = "/usr/lib/postfix/sbin";

/// Takes mail for every address of a domain, over STARTTLS for those who like.
pub(crate) struct Postfix {
    address: SocketAddr,
    dir: TempDir,
    master: Child,
}

impl Postfix {
    pub(crate) async fn start(domain: &str, identity: &Identity) -> Postfix {
        Postfix::start_with(domain, identity, "mynetworks =\n").await
    }

    /// One that takes mail for everybody and hands it on, with no header changed, to one server, over STARTTLS where
    /// that is offered.
    pub(crate) async fn relay(to: SocketAddr, identity: &Identity) -> Postfix {
        let more = format!(
            "relayhost = [{}]:{}
mynetworks = 127.0.0.0/8
local_header_rewrite_clients =
smtp_tls_security_level = may
smtp_dns_support_level = disabled
",
            to.ip(),
            to.port()
        );
        Postfix::start_with("relay.test", identity, &more).await
    }

    async fn start_with(domain: &str, identity: &Identity, more: &str) -> Postfix {
        let address = SocketAddr::from((loopback(), COMMON_PORT));
        let dir = tempfile::tempdir().expect("a directory");
        directories(dir.path());
        configure(dir.path(), address, domain, identity, more);
        let master = Command::new(format!("{DAEMONS}/master"))
            .arg("-c")
            .arg(dir.path().join("etc"))
            .arg("-d")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What the master gets is for all of its group.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("Postfix does not start: {error}; tests/setup installs it"));
        let postfix = Postfix { address, dir, master };
        eventually("Postfix to listen", async || {
            TcpStream::connect(address).await.map(drop).map_err(|error| format!("{error}\n{}", postfix.log()))
        })
        .await;
        postfix
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Waits for a message in the mailbox; with LF lines, as it is on disk.
    pub(crate) async fn message(&self) -> Vec<u8> {
        eventually("a message in Postfix's mailbox", async || {
            let new = self.dir.path().join("mail/inbox/new");
            let file = fs::read_dir(new).ok().and_then(|mut files| files.next());
            match file {
                Some(Ok(file)) => fs::read(file.path()).map_err(|error| error.to_string()),
                _ => Err(self.log()),
            }
        })
        .await
    }

    /// What Postfix has to say.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.master), Signal::TERM);
        let _ = self.master.wait();
    }
}

fn directories(dir: &Path) {
    let of_root = ["etc", "spool", "spool/pid"];
    let private =
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private"];
    let private = private.into_iter().chain(["saved", "trace"]).map(|name| format!("spool/{name}"));
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).expect("it was just made");
    install(dir, "root", "root", "755", of_root);
    install(dir, "postfix", "root", "700", private.chain(["data".to_owned(), "mail".to_owned()]));
    install(dir, "postfix", "postdrop", "710", ["spool/public"]);
    install(dir, "postfix", "postdrop", "730", ["spool/maildrop"]);
}

/// Makes directories that belong to somebody.
fn install(
    dir: &Path,
    owner: &str,
    group: &str,
    mode: &str,
    names: impl IntoIterator<Item = impl AsRef<Path>>,
) {
    let paths: Vec<PathBuf> = names.into_iter().map(|name| dir.join(name)).collect();
    let output = Command::new("install")
        .args(["-d", "-o", owner, "-g", group, "-m", mode])
        .args(paths)
        .output()
        .expect("coreutils are here");
    assert!(
        output.status.success(),
        "a test with Postfix needs root, and Postfix, which tests/setup installs: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn configure(dir: &Path, address: SocketAddr, domain: &str, identity: &Identity, more: &str) {
    let etc = dir.join("etc");
    let (ip, port, dir) = (address.ip(), address.port(), dir.display());
    let user = Command::new("id").args(["-u", "postfix"]).output().expect("coreutils are here");
    let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
    let main = format!(
        "compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = {DAEMONS}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.{domain}
mydestination =
smtpd_peername_lookup = no
alias_maps =
alias_database =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{user}
smtpd_tls_security_level = may
smtpd_tls_chain_files = {dir}/etc/key.pem, {dir}/etc/cert.pem
smtpd_tls_received_header = yes
{more}"
    );
    let master = format!(
        "{ip}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
    );
    for (name, text) in [
        ("main.cf", main.as_str()),
        ("master.cf", master.as_str()),
        ("cert.pem", identity.chain_pem()),
        ("key.pem", identity.key_pem().as_str()),
    ] {
        fs::write(etc.join(name), text).expect("room on the disk");
    }
}

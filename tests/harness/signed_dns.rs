//! Signed zones, below a signed root, served by Knot DNS: what DNSSEC is, somebody else says.

use super::{COMMON_PORT, eventually, loopback};
use hickory_resolver::proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RecordType},
};
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::UdpSocket, time::timeout};

/// What a validating resolver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Signed.
    Secure,
    /// Not signed, as the signed parent says.
    Insecure,
    /// Signed, but the signatures were changed.
    Forged,
    /// Signed, but the signatures ended half a month ago.
    Expired,
}

/// The root, and zones below it.
pub(crate) struct SignedDns {
    address: SocketAddr,
    dir: TempDir,
    server: Child,
}

const DAY: i64 = 24 * 3600;
/// When the expired signatures were made; they hold for two weeks.
const LONG_AGO: i64 = 30 * DAY;

impl SignedDns {
    /// Zones are names and their records in a zone file, whose names need no dot at their end. SOA and NS are added.
    pub(crate) async fn start(zones: &[(&str, Security, &str)]) -> SignedDns {
        let dir = tempfile::tempdir().expect("a directory");
        let address = SocketAddr::from((loopback(), COMMON_PORT));
        let knot = Knot { dir: dir.path() };
        knot.configure(address, zones.iter().map(|(name, ..)| *name));
        let mut root = "ns.test A 127.0.0.1\n".to_owned();
        for (name, security, records) in zones {
            let _ = writeln!(root, "{name} NS ns.test");
            knot.write_zone(name, records);
            if *security != Security::Insecure {
                root += &knot.sign(name, *security == Security::Expired);
            }
            if *security == Security::Forged {
                knot.forge(name);
            }
        }
        knot.write_zone(".", &root);
        // Not every reader of zone files can do without the class.
        let anchor = knot.sign(".", false).replace(". DNSKEY", ". IN DNSKEY");
        fs::write(dir.path().join("trust-anchor"), anchor).expect("room on the disk");
        let server = knot.serve();
        let dns = SignedDns { address, dir, server };
        dns.answers().await;
        dns
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The DNSKEY of the root, as a zone file.
    pub(crate) fn trust_anchor(&self) -> PathBuf {
        self.dir.path().join("trust-anchor")
    }

    async fn answers(&self) {
        let socket = UdpSocket::bind((loopback(), 0)).await.expect("a free port");
        let mut query = Message::query();
        query.add_query(Query::query(Name::root(), RecordType::SOA));
        let query = query.to_vec().expect("a message that can be written");
        eventually("an answer of Knot DNS", async || {
            let _ = socket.send_to(&query, self.address).await;
            let mut buffer = [0; 1500];
            let answer = timeout(Duration::from_millis(20), socket.recv(&mut buffer)).await;
            let Ok(Ok(length)) = answer else { return Err(self.log()) };
            let answer = Message::from_vec(&buffer[..length]).map_err(|error| error.to_string())?;
            if answer.metadata.response_code == ResponseCode::NoError { Ok(()) } else { Err(self.log()) }
        })
        .await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for SignedDns {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Knot DNS and its tools, in a directory of their own.
struct Knot<'d> {
    dir: &'d Path,
}

impl Knot<'_> {
    fn configure<'z>(&self, address: SocketAddr, zones: impl Iterator<Item = &'z str>) {
        let (dir, ip, port) = (self.dir.display(), address.ip(), address.port());
        let mut config = format!(
            "server:\n  rundir: {dir}\n  listen: {ip}@{port}\n  udp-workers: 1\n  tcp-workers: 1\n\
             \x20 background-workers: 1\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: {dir}\n  journal-db-max-size: 5M\n  kasp-db-max-size: 5M\n\
             policy:\n  - id: manual\n    manual: on\n    single-type-signing: on\n\
             template:\n  - id: default\n    storage: {dir}\n    dnssec-policy: manual\n\
             \x20   journal-content: none\n    zonefile-sync: -1\n\
             zone:\n"
        );
        for zone in zones.chain(["."]) {
            let _ = writeln!(config, "  - domain: {zone}\n    file: {}", file_name(zone));
        }
        fs::write(self.dir.join("knot.conf"), config).expect("room on the disk");
        fs::create_dir(self.dir.join("signed")).expect("room on the disk");
    }

    fn write_zone(&self, zone: &str, records: &str) {
        let records: String = records.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        let apex = format!("{zone} SOA ns.test hostmaster.test 1 3600 600 86400 60\n{zone} NS ns.test\n");
        let text = format!("$ORIGIN .\n$TTL 60\n{apex}{records}");
        fs::write(self.dir.join(file_name(zone)), text).expect("room on the disk");
    }

    /// Signs a zone with a new key. Returns the DS records for its parent, or for the root the DNSKEY.
    fn sign(&self, zone: &str, expired: bool) -> String {
        let now = actors::Clock::system().now().as_secs();
        let then = if expired { now - LONG_AGO } else { now };
        let times = ["created", "publish", "ready", "active"].map(|what| format!("{what}={}", then - DAY));
        let generate = [zone, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes"];
        self.run("keymgr", generate.into_iter().chain(times.iter().map(String::as_str)));
        let signed = self.dir.join("signed");
        let outdir = signed.to_str().expect("a path in UTF-8");
        self.run("kzonesign", ["-o", outdir, "-t", &then.to_string(), zone]);
        fs::rename(signed.join(file_name(zone)), self.dir.join(file_name(zone)))
            .expect("it was written there");
        self.run("keymgr", [zone, if zone == "." { "dnskey" } else { "ds" }])
    }

    /// Changes every signature.
    fn forge(&self, zone: &str) {
        let path = self.dir.join(file_name(zone));
        let text = fs::read_to_string(&path).expect("it was signed");
        let forge = |line: &str| match line.rsplit_once(' ') {
            Some((rest, signature)) if line.contains("\tRRSIG\t") => {
                let reversed: String = signature.trim_end_matches('=').chars().rev().collect();
                format!("{rest} {reversed}==\n")
            }
            _ => format!("{line}\n"),
        };
        fs::write(&path, text.lines().map(forge).collect::<String>()).expect("room on the disk");
    }

    fn run<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> String {
        let config = self.dir.join("knot.conf");
        let output = Command::new(program)
            .arg("-c")
            .arg(config)
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/setup installs it"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{program} fails: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn serve(&self) -> Child {
        let log = fs::File::create(self.dir.join("log")).expect("room on the disk");
        Command::new("/usr/sbin/knotd")
            .arg("-c")
            .arg(self.dir.join("knot.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("knotd: {error}; tests/setup installs it"))
    }
}

fn file_name(zone: &str) -> &str {
    if zone == "." { "root.zone" } else { zone }
}

//! The server as a process of its own, fed over HTTP by clients that wait for each answer, and Postfix's smtp-sink
//! behind it. What the server costs is read from the system's accounting of its process.

use crate::Plan;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// A program that ends with the bench.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Postfix's smtp-sink on a free port.
pub(crate) fn sink() -> (Process, SocketAddr) {
    let free = free_address();
    let program = ["/usr/sbin/smtp-sink", "/usr/bin/smtp-sink", "/usr/libexec/postfix/smtp-sink"]
        .into_iter()
        .find(|path| fs::exists(path).unwrap_or(false))
        .expect("smtp-sink is needed: apt-get install postfix");
    let child = Command::new(program)
        .args(["-u", "nobody", "-m", "1000", &free.to_string(), "1000"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (Process(child), free)
}

/// A server under load.
pub(crate) struct Server {
    process: Process,
    address: String,
    /// Where localserve takes submissions over TLS, and its certificate.
    submissions: Option<(String, String)>,
    delivers_to_itself: bool,
    /// Its directory, unless that is somebody else's.
    _dir: Option<tempfile::TempDir>,
}

/// A directory on a disk, since one in memory would make syncing free.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    /// A server that delivers to that address, or to itself.
    pub(crate) fn start(deliver_to: Option<SocketAddr>) -> Server {
        let dir = directory();
        let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .args(["localserve", "--any-port", "--dir"])
            .arg(dir.path())
            .args(deliver_to.map(|address| format!("--deliver-to={address}")))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = |what: &str| loop {
            let line = lines.next().expect("the server says where it listens").unwrap();
            if let Some(rest) = line.trim_start().strip_prefix(what) {
                break rest.trim().to_owned();
            }
        };
        let webapi = said("webapi");
        let address = webapi.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let submissions = said("submissions ").split(' ').next().unwrap().to_owned();
        let certificate = said("certificate");
        // The server must not end for want of a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Server {
            process: Process(child),
            address,
            submissions: Some((submissions, certificate)),
            delivers_to_itself: deliver_to.is_none(),
            _dir: Some(dir),
        }
    }

    /// A server with a data directory that is prepared already, which looks mail exchangers up at `nameserver` and
    /// speaks to `port`.
    pub(crate) fn serve(data: &Path, nameserver: SocketAddr, port: u16) -> Server {
        let http = free_address();
        let settings = data.with_extension("toml");
        let text = format!(
            "hostname = \"mail.bench.example\"\ndata_dir = {data:?}\n[log]\nlevel = \"warn\"\n\
             [dns]\nnameservers = [\"{nameserver}\"]\ndnssec = \"off\"\n[delivery]\nport = {port}\n\
             [[http]]\naddress = \"{http}\"\nservices = [\"webapi\", \"metrics\"]\n"
        );
        fs::write(&settings, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .args(["serve", "--config"])
            .arg(&settings)
            .spawn()
            .unwrap();
        Server {
            process: Process(child),
            address: http.to_string(),
            submissions: None,
            delivers_to_itself: false,
            _dir: None,
        }
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&self) {
        while TcpStream::connect(&self.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Where it takes submissions over TLS from the start, and the file of its certificate.
    pub(crate) fn submissions(&self) -> (String, String) {
        self.submissions.clone().expect("it is a localserve")
    }

    pub(crate) fn delivers_to_itself(&self) -> bool {
        self.delivers_to_itself
    }

    /// Waits until no more than so many messages are in the queue.
    pub(crate) async fn settled(&self, left: usize) {
        let start = Instant::now();
        while self.metric("postrider_queue_messages").await > left as f64 {
            assert!(start.elapsed() < Duration::from_secs(3600), "deliveries do not come to an end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// CPU time of the process so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // USER_HZ is 100 on every Linux.
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory that is the process's own, in MiB.
    pub(crate) fn memory(&self) -> u64 {
        self.status("RssAnon:")
    }

    /// The most resident memory that it ever had, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
    }

    /// The sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }

    /// Sends everything; the times that the answers took, sorted.
    pub(crate) async fn send(&self, plan: &Plan) -> Vec<Duration> {
        let share = plan.messages / plan.clients;
        let clients = (0..plan.clients).map(|client| {
            let first = client * share;
            let requests: Vec<_> = (0..plan.domains).map(|domain| request(plan.body, domain)).collect();
            let address = self.address.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut times = Vec::with_capacity(share);
                let mut answer = [0; 2048];
                for n in first..first + share {
                    let start = Instant::now();
                    stream.write_all(&requests[n % requests.len()]).await.unwrap();
                    let mut have = 0;
                    while !is_whole(&answer[..have]) {
                        let count = stream.read(&mut answer[have..]).await.unwrap();
                        assert!(count > 0, "the server closed the connection");
                        have += count;
                    }
                    let ok = answer.starts_with(b"HTTP/1.1 200");
                    assert!(ok, "{}", String::from_utf8_lossy(&answer[..have]));
                    times.push(start.elapsed());
                }
                times
            })
        });
        let mut times = Vec::with_capacity(plan.messages);
        for client in clients.collect::<Vec<_>>() {
            times.extend(client.await.unwrap());
        }
        times.sort_unstable();
        times
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn request(body: usize, domain: usize) -> Vec<u8> {
    let line = "The quick brown fox jumps over the lazy dog, 0123456789, again and again.\\n";
    let text: String = line.chars().cycle().take(body).collect();
    let text = text.trim_end_matches('\\');
    let json = format!(
        r#"{{"To":[{{"Address":"friend@remote{domain}.example"}}],"Subject":"load","Text":"{text}"}}"#
    );
    let mut form = String::from("request=");
    for byte in json.bytes() {
        if byte.is_ascii_alphanumeric() {
            form.push(byte as char)
        } else {
            form.push_str(&format!("%{byte:02X}"))
        }
    }
    // rider@localhost:postrider
    let head = format!(
        "POST /webapi/v0/Send HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Basic cmlkZXJAbG9jYWxob3N0OnBvc3RyaWRlcg==\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    [head.as_bytes(), form.as_bytes()].concat()
}

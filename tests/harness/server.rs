//! The real server, as a child process with a data directory of its own.

use super::{Answer, Api, HookReceiver, SmtpPeer, api::client, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A message to a friend, as the README sends it.
pub(crate) fn message() -> Value {
    message_to("friend@remote.example")
}

pub(crate) fn message_to(recipient: &str) -> Value {
    json!({"To": [{"Address": recipient}], "Subject": "hello", "Text": "hi ☺"})
}

/// A server to be started.
#[derive(Default)]
pub(crate) struct ServerBuilder {
    dir: Option<PathBuf>,
    args: Vec<OsString>,
}

impl ServerBuilder {
    /// Keeps its data there instead of in a directory of its own.
    pub(crate) fn dir(mut self, dir: &Path) -> ServerBuilder {
        self.dir = Some(dir.into());
        self
    }

    pub(crate) fn outgoing_webhook(self, receiver: &HookReceiver) -> ServerBuilder {
        self.option("--outgoing-webhook", receiver.url())
    }

    pub(crate) fn incoming_webhook(self, receiver: &HookReceiver) -> ServerBuilder {
        self.option("--incoming-webhook", receiver.url())
    }

    /// Has the rider's webhooks removed.
    pub(crate) fn no_webhooks(self) -> ServerBuilder {
        self.option("--outgoing-webhook", "none".into()).option("--incoming-webhook", "none".into())
    }

    pub(crate) fn deliver_to(self, peer: &SmtpPeer) -> ServerBuilder {
        self.deliver_to_address(peer.address())
    }

    pub(crate) fn deliver_to_address(self, address: SocketAddr) -> ServerBuilder {
        self.option("--deliver-to", address.to_string())
    }

    fn option(mut self, name: &str, value: String) -> ServerBuilder {
        self.args.extend([name.into(), value.into()]);
        self
    }

    pub(crate) async fn start(self) -> Server {
        let own = self.dir.is_none().then(disk_directory);
        let dir = self
            .dir
            .or_else(|| own.as_ref().map(|own| own.path().join("data")))
            .expect("one of them is there");
        let args = [vec!["--any-port".into(), "--dir".into(), dir.clone().into()], self.args].concat();
        let log = Log::default();
        let process = Process::start(&args, &log).await;
        Server { process, args, log, client: client(None), dir, _own: own }
    }
}

/// A server that runs. Dropped, it is killed; when the test fails, its log is shown.
pub(crate) struct Server {
    process: Process,
    args: Vec<OsString>,
    log: Log,
    client: reqwest::Client,
    dir: PathBuf,
    _own: Option<TempDir>,
}

impl Server {
    /// A server that delivers to itself, and calls nobody.
    pub(crate) async fn start() -> Server {
        Server::builder().start().await
    }

    pub(crate) fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn http(&self) -> SocketAddr {
        let url = self.greeting("webapi");
        let address = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("a URL");
        address.parse().expect("an address and a port")
    }

    pub(crate) fn smtp(&self) -> SocketAddr {
        self.greeting("SMTP in").parse().expect("an address and a port")
    }

    pub(crate) fn submission(&self) -> SocketAddr {
        self.submission_address("submission")
    }

    pub(crate) fn submissions(&self) -> SocketAddr {
        self.submission_address("submissions")
    }

    fn submission_address(&self, name: &str) -> SocketAddr {
        let address = self.greeting(&format!("{name} ")).split(' ').next().expect("an address and a port");
        address.parse().expect("an address and a port")
    }

    /// A line of what the system says of the process, such as `VmHWM:`, in MiB.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.child.id());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// How many files of uploads the server has open. They have no names.
    pub(crate) fn open_uploads(&self) -> usize {
        let path = format!("/proc/{}/fd", self.process.child.id());
        let files = std::fs::read_dir(path).expect("the server runs").filter_map(Result::ok);
        let uploads = self.dir.join("uploads");
        files
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .filter(|to| to.starts_with(&uploads))
            .count()
    }

    /// What the server said at its start behind that name.
    pub(crate) fn greeting(&self, name: &str) -> &str {
        let value = self.process.greeting.iter().find_map(|line| line.trim_start().strip_prefix(name));
        value
            .unwrap_or_else(|| panic!("{name} is in the greeting:\n{}", self.process.greeting.join("\n")))
            .trim()
    }

    /// The whole of what it said at its start.
    pub(crate) fn greeting_lines(&self) -> &[String] {
        &self.process.greeting
    }

    /// Kills it without warning, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same directory, after [`Server::kill`] or [`Server::terminate`].
    pub(crate) async fn restart(&mut self) {
        self.process = Process::start(&self.args, &self.log).await;
    }

    /// Asks it to stop.
    pub(crate) fn signal_stop(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Asks it to stop, and waits until it did.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal_stop();
        self.process.ended("the server to stop after SIGTERM").await
    }

    /// The way to its webapi, for tasks of their own.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.client.clone(), self.http())
    }

    /// One call as the rider.
    pub(crate) async fn call(&self, method: &str, request: &Value) -> Answer {
        self.api().call(method, request).await.expect("the server answers")
    }

    /// A call that has to succeed.
    pub(crate) async fn ok(&self, method: &str, request: &Value) -> Value {
        self.api().ok(method, request).await
    }

    /// A Send that has to succeed.
    pub(crate) async fn send(&self, request: &Value) -> Sent {
        serde_json::from_value(self.ok("Send", request).await).expect("the result of Send")
    }

    /// A request without credentials.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.api().request(method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.api().get(path).await
    }

    /// See [`Api::metric`].
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        self.api().metric(name, labels).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        let log = self.log.text();
        if thread::panicking() {
            eprintln!("--- log of the server in {}:\n{log}---", self.dir.display());
        } else {
            assert!(!log.contains("panicked at"), "the server panicked:\n{log}");
        }
    }
}

/// Runs a server that has to refuse to start; its exit status, and what it said on standard error.
pub(crate) async fn refused_start(args: &[&str]) -> (ExitStatus, String) {
    let log = Log::default();
    let args: Vec<_> = args.iter().map(OsString::from).collect();
    let mut process = Process::spawn(&args, &log).0;
    let status = process.ended("the server to refuse to start").await;
    (status, log.text())
}

/// The result of Send.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Sent {
    #[serde(rename = "MessageID")]
    pub(crate) message_id: String,
    pub(crate) submissions: Vec<Submission>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Submission {
    pub(crate) address: String,
    #[serde(rename = "QueueMsgID")]
    pub(crate) queue_msg_id: i64,
    #[serde(rename = "FromID")]
    pub(crate) from_id: String,
}

impl Sent {
    /// The id of the queue message, where there is one.
    pub(crate) fn queue_id(&self) -> i64 {
        assert_eq!(self.submissions.len(), 1, "one recipient: {self:?}");
        self.submissions[0].queue_msg_id
    }

    pub(crate) fn by_address(&self) -> BTreeMap<&str, i64> {
        self.submissions.iter().map(|one| (one.address.as_str(), one.queue_msg_id)).collect()
    }
}

/// What a process says on standard error, over all its starts.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no holder panics")).into_owned()
    }

    fn follow(&self, mut source: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        let log = self.0.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = source.read(&mut buffer) {
                log.lock().expect("no holder panics").extend_from_slice(&buffer[..read]);
            }
        })
    }
}

struct Process {
    child: Child,
    greeting: Vec<String>,
    /// Ends when the log is complete.
    follower: Option<thread::JoinHandle<()>>,
}

impl Process {
    async fn start(args: &[OsString], log: &Log) -> Process {
        let (mut process, greeting) = Process::spawn(args, log);
        let greeting = tokio::time::timeout(super::PATIENCE, greeting).await;
        let Ok(Ok(greeting)) = greeting else {
            process.kill();
            panic!("the server does not start:\n{}", log.text());
        };
        process.greeting = greeting;
        process
    }

    /// The lines up to the end of the greeting come through the channel.
    fn spawn(args: &[OsString], log: &Log) -> (Process, oneshot::Receiver<Vec<String>>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .arg("localserve")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let follower = log.follow(child.stderr.take().expect("stderr is piped"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (told, greeting) = oneshot::channel();
        thread::spawn(move || {
            let mut lines = stdout.lines().map_while(Result::ok);
            let mut greeting = Vec::new();
            for line in lines.by_ref() {
                // The last line of the example call is the last of all.
                let last = line.trim_end().ends_with("/webapi/v0/Send");
                greeting.push(line);
                if last {
                    let _ = told.send(greeting);
                    break;
                }
            }
            // Whatever else it says must not block it.
            lines.for_each(drop);
        });
        (Process { child, greeting: Vec::new(), follower: Some(follower) }, greeting)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the child is not waited for yet");
    }

    async fn ended(&mut self, what: &str) -> ExitStatus {
        let status = eventually(what, async || {
            self.child.try_wait().expect("it is our child").ok_or_else(|| "it runs".to_owned())
        })
        .await;
        self.complete_log();
        status
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.complete_log();
    }

    fn complete_log(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.join().expect("the follower does not panic");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A directory on a disk that is one: where temporary files live need not be.
pub(super) fn disk_directory() -> TempDir {
    TempDir::with_prefix_in("server-", env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

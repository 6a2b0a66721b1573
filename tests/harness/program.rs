//! The program itself: its commands, and `serve` as a process of its own.

use super::{Api, Identity, PATIENCE, api::client, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;
use tokio::{net::UnixDatagram, time::timeout};

/// A command that came to its end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A directory with a settings file, for commands and for a server.
pub(crate) struct Site {
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Site {
    /// With these settings; `data_dir` is set already.
    pub(crate) fn new(settings: &str) -> Site {
        // The path of the control socket must fit in an address, and data be on a real disk.
        let dir = TempDir::with_prefix_in("site-", env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let site = Site { dir, env: Vec::new() };
        site.write("postrider.toml", &format!("data_dir = \"data\"\n{settings}"));
        site
    }

    /// A variable of the environment of all commands.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Site {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("room on the disk");
    }

    /// As `cert.pem` and `key.pem`.
    pub(crate) fn write_identity(&self, identity: &Identity) {
        self.write("cert.pem", identity.chain_pem());
        self.write("key.pem", &identity.key_pem());
    }

    /// Runs a command here, with nothing on standard input.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, "")
    }

    /// Runs a command here, with that on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Done {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // Not every command reads it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it is our child");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked at"), "{args:?} panicked: {stderr}");
        Done { status: output.status.code().expect("it ends by itself"), stdout, stderr }
    }

    /// Runs a command that has to succeed; what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.ok_with(args, "")
    }

    pub(crate) fn ok_with(&self, args: &[&str], input: &str) -> String {
        let done = self.run_with(args, input);
        assert_eq!(done.status, 0, "{args:?}: {done:?}");
        done.stdout
    }

    /// Runs a command that has to succeed; what it printed as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Runs a command that has to fail with that status; what it said.
    pub(crate) fn fails(&self, args: &[&str], status: i32) -> String {
        let done = self.run(args);
        assert_eq!(done.status, status, "{args:?}: {done:?}");
        done.stderr
    }

    /// Starts `serve` with the settings here, and waits until it is ready.
    pub(crate) async fn serve(&self) -> Serve {
        let socket = self.path("notify.sock");
        let _ = fs::remove_file(&socket);
        let notified = UnixDatagram::bind(&socket).expect("a socket");
        let mut command = self.command(&["serve"]);
        command
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "400000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let log = Log::default();
        let follower = log.follow(child.stderr.take().expect("stderr is piped"));
        let mut serve = Serve { child, log, notified, follower: Some(follower) };
        serve.told("READY=1").await;
        serve
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        command.args(args).current_dir(self.dir.path()).envs(self.env.iter().cloned());
        command
    }
}

/// What a process says on standard error.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().expect("no holder panics").clone()
    }

    fn follow(&self, mut source: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        let log = self.0.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = source.read(&mut buffer) {
                log.lock().expect("no holder panics").push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        })
    }
}

/// A `serve` that runs. Dropped, it is killed; when the test fails, its log is shown.
pub(crate) struct Serve {
    child: Child,
    log: Log,
    notified: UnixDatagram,
    follower: Option<thread::JoinHandle<()>>,
}

impl Serve {
    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Where its only listener of that kind is, `HTTP`, `HTTPS` or `SMTP`.
    pub(crate) fn address(&self, kind: &str) -> SocketAddr {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(&format!("{kind} listens")));
        let line = line.unwrap_or_else(|| panic!("{kind} listens:\n{log}"));
        line.rsplit("address=").next().expect("an address").trim().parse().expect("an address and a port")
    }

    /// The way to its webapi.
    pub(crate) fn api(&self, user: &str, password: &str) -> Api {
        Api::new(client(None), self.address("HTTP")).login(user, password)
    }

    /// Waits until systemd is told this; others before are passed over. The whole of it.
    pub(crate) async fn told(&mut self, what: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let received = timeout(PATIENCE, self.notified.recv(&mut buffer)).await;
            let Ok(received) = received else { panic!("waited for {what}:\n{}", self.log()) };
            let said = String::from_utf8_lossy(&buffer[..received.expect("a message")]).into_owned();
            if said.lines().any(|line| line == what) {
                return said;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is not waited for yet");
    }

    /// Asks it to stop, and waits until it did.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let status = eventually("the server to stop after SIGTERM", async || {
            // What nobody reads fills the socket, and then keeps the server waiting.
            while self.notified.try_recv(&mut [0; 4096]).is_ok() {}
            self.child.try_wait().expect("it is our child").ok_or_else(|| "it runs".to_owned())
        })
        .await;
        self.complete_log();
        status
    }

    fn complete_log(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.join().expect("the follower does not panic");
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.complete_log();
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- log of serve:\n{log}---");
        } else {
            assert!(!log.contains("panicked at"), "the server panicked:\n{log}");
        }
    }
}

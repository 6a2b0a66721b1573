//! The real server under load, messages of one recipient each, signed with Ed25519:
//!
//! - `cargo bench --bench load -- end-to-end`: from Send to Postfix's smtp-sink, until all is settled;
//! - `cargo bench --bench load -- by-mx`: the same, by `serve` and with the mail exchangers looked up;
//! - `cargo bench --bench load -- backlog`: a server that starts with a long queue;
//! - `cargo bench --bench load -- accept`: Send alone, delivery having nowhere to go;
//! - `cargo bench --bench load -- submissions`: the same over SMTP with TLS and a login, one message a connection and
//!   then many;
//! - `cargo bench --bench load -- uploads`: Send with large files, delivery having nowhere to go;
//! - `cargo bench --bench load -- uploads-delivered`: the same, into the server's own Inbox.
//!
//! Options: `--messages 20000 --clients 64 --body 4096 --domains 1`; for by-mx `--standing 1000000` messages that are
//! queued and due in a week; for the backlog `--messages 1000000 --domains
//! 10000`; for uploads `--clients 8 --rounds 2 --size 70`,
//! the size of a file in MB. Load, sink and server share the machine.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has nothing better to do than stop")]

mod backlog;
#[path = "../../tests/harness/dns/mod.rs"]
#[expect(dead_code, reason = "the tests do more with it")]
mod dns;
mod prepared;
mod server;
mod submissions;
mod uploads;

use dns::DnsServer;
use server::{Server, directory, sink};
use std::{net::SocketAddr, time::Duration};
use tokio::time::Instant;

/// What a run is made of.
struct Plan {
    /// Messages to send.
    messages: usize,
    /// Clients at the same time.
    clients: usize,
    /// Bytes of text in a message.
    body: usize,
    /// Recipient domains.
    domains: usize,
    /// Messages that are queued already, and due much later.
    standing: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let plan = Plan::from_args(&args);
    match args.get(1).map(String::as_str) {
        Some("accept") => accept(&plan).await,
        Some("by-mx") => by_mx(&plan).await,
        Some("backlog") => {
            let (messages, domains) =
                (number(&args, "messages", 1_000_000), number(&args, "domains", 10_000));
            backlog::run(messages, domains, name_server(domains)).await;
        }
        Some("submissions") => submissions(&plan).await,
        Some("uploads") => upload(&args, Server::start(Some(nowhere()))).await,
        Some("uploads-delivered") => upload(&args, Server::start(None)).await,
        _ => end_to_end(&plan).await,
    }
}

async fn end_to_end(plan: &Plan) {
    let (_sink, address) = sink();
    deliver(&Server::start(Some(address)), plan).await;
}

async fn by_mx(plan: &Plan) {
    let (_sink, address) = sink();
    let dir = directory();
    let data = dir.path().join("data");
    let queue = prepared::open(&data);
    let standing = plan.standing;
    tokio::task::spawn_blocking(move || prepared::fill(queue, standing, 10_000, false)).await.unwrap();
    let nameserver = name_server(plan.domains);
    let start = Instant::now();
    let server = Server::serve(&data, nameserver, address.port());
    server.ready().await;
    figure("ready to accept after", start.elapsed().as_secs_f64() * 1000.0, "ms");
    deliver(&server, plan).await;
}

/// A name server that knows a mail exchanger for each domain, on a thread of its own.
fn name_server(domains: usize) -> SocketAddr {
    let (started, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let zone: String = (0..domains)
                .map(|number| {
                    let domain = prepared::domain(number);
                    format!("{domain}. MX 10 mx.{domain}.\nmx.{domain}. A 127.0.0.1\n")
                })
                .collect();
            let server = DnsServer::start(&zone).await;
            started.send(server.address()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    address.recv().unwrap()
}

async fn deliver(server: &Server, plan: &Plan) {
    warm_up(server, plan).await;
    server.settled(plan.standing).await;

    let (start, cpu) = (Instant::now(), server.cpu());
    let times = server.send(plan).await;
    let accepted = start.elapsed();
    // A message counts when its outcome is on disk.
    server.settled(plan.standing).await;
    let took = start.elapsed();
    let cpu = server.cpu() - cpu;

    figure("delivered end to end", times.len() as f64 / took.as_secs_f64(), "messages/s");
    report(&times, accepted, cpu);
    let commits = server.metric("postrider_store_commit_changes_count").await;
    figure("changes per commit", server.metric("postrider_store_commit_changes_sum").await / commits, "");
    let opened = server.metric("postrider_smtp_connections_opened_total").await;
    let retired = server.metric("postrider_messages_retired_total").await;
    figure("connections opened", opened * 1000.0 / retired, "per 1000 messages");
    figure("memory of its own", server.memory() as f64, "MiB");
}

async fn accept(plan: &Plan) {
    let server = Server::start(Some(nowhere()));
    warm_up(&server, plan).await;
    let (start, cpu) = (Instant::now(), server.cpu());
    let times = server.send(plan).await;
    report(&times, start.elapsed(), server.cpu() - cpu);
}

async fn submissions(plan: &Plan) {
    let server = Server::start(Some(nowhere()));
    // The first login pays for the password.
    submissions::run(&server, &Plan { messages: plan.clients * 10, ..*plan }, 10).await;
    for (what, per_connection) in
        [("one message a connection", 1), ("many messages a connection", usize::MAX)]
    {
        println!("{what}");
        let (start, cpu) = (Instant::now(), server.cpu());
        let times = submissions::run(&server, plan, per_connection).await;
        report(&times, start.elapsed(), server.cpu() - cpu);
    }
}

async fn upload(args: &[String], server: Server) {
    let (clients, rounds) = (number(args, "clients", 8), number(args, "rounds", 2));
    uploads::run(&server, clients, rounds, number(args, "size", 70)).await;
    if server.delivers_to_itself() {
        server.settled(0).await;
        figure("after its own deliveries", server.peak_memory() as f64, "MiB");
    }
}

fn nowhere() -> SocketAddr {
    server::free_address()
}

/// The first request pays for the password, the first messages for the connections.
async fn warm_up(server: &Server, plan: &Plan) {
    server.send(&Plan { messages: plan.clients * 10, ..*plan }).await;
}

fn report(times: &[Duration], took: Duration, cpu: Duration) {
    let count = times.len() as f64;
    figure("accepted", count / took.as_secs_f64(), "messages/s");
    figure("CPU of the server", cpu.as_secs_f64() * 1000.0 / count, "ms/message");
    figure("answer p50", quantile(times, 0.5), "ms");
    figure("answer p99", quantile(times, 0.99), "ms");
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{name:<24} {value:>10.3} {unit}");
}

/// The time at a share of all, in milliseconds.
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0
}

impl Plan {
    fn from_args(args: &[String]) -> Plan {
        Plan {
            messages: number(args, "messages", 20_000),
            clients: number(args, "clients", 64),
            body: number(args, "body", 4096),
            domains: number(args, "domains", 1),
            standing: number(args, "standing", 0),
        }
    }
}

/// The value of an option.
fn number(args: &[String], name: &str, default: usize) -> usize {
    let given = args.iter().position(|arg| *arg == format!("--{name}")).and_then(|at| args.get(at + 1));
    given.map_or(default, |value| value.parse().expect("options take numbers"))
}

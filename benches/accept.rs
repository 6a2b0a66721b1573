//! Accepting alone, delivery having nowhere to go: `cargo bench --bench accept -- --clients 64`.

mod load;

use load::{Plan, Server, figure, quantile};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let plan = Plan::from_args();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(nowhere);
    server.send(&Plan { messages: plan.clients * 10, ..plan }).await;

    let (start, cpu) = (Instant::now(), server.cpu());
    let times = server.send(&plan).await;
    let took = start.elapsed();
    let cpu = server.cpu() - cpu;

    let count = times.len() as f64;
    figure("accepted", count / took.as_secs_f64(), "messages/s");
    figure("CPU of the server", cpu.as_secs_f64() * 1000.0 / count, "ms/message");
    figure("answer p50", quantile(&times, 0.5), "ms");
    figure("answer p99", quantile(&times, 0.99), "ms");
}

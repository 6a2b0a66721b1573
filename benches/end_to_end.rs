//! From Send to the sink: `cargo bench --bench end_to_end -- --messages 20000 --clients 64 --body 4096`.

mod load;

use load::{Plan, Server, figure, quantile, sink};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let plan = Plan::from_args();
    let (_sink, address) = sink();
    let server = Server::start(address);
    // The first request pays for the password; the first messages open the connections.
    server.send(&Plan { messages: plan.clients * 10, ..plan }).await;
    let delivered = || server.metric("postrider_messages_retired_total");
    let warm = delivered().await;

    let (start, cpu) = (Instant::now(), server.cpu());
    let times = server.send(&plan).await;
    let accepted = start.elapsed();
    while delivered().await - warm < times.len() as f64 {
        assert!(start.elapsed() < Duration::from_secs(600), "deliveries do not come to an end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = start.elapsed();
    let cpu = server.cpu() - cpu;

    let count = times.len() as f64;
    figure("accepted", count / accepted.as_secs_f64(), "messages/s");
    figure("delivered end to end", count / took.as_secs_f64(), "messages/s");
    figure("CPU of the server", cpu.as_secs_f64() * 1000.0 / count, "ms/message");
    figure("answer p50", quantile(&times, 0.5), "ms");
    figure("answer p99", quantile(&times, 0.99), "ms");
    figure("changes per commit", server.metric("postrider_store_commit_changes_sum").await
        / server.metric("postrider_store_commit_changes_count").await, "");
    figure("connections opened", server.metric("postrider_smtp_connections_opened_total").await, "");
    figure("memory of its own", server.memory() as f64, "MiB");
}

//! Waiting for facts.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a fact may take to come true. Far more than it should need, as machines can be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(15);

/// Asks until there is an answer. `Err` says what is missing; the last one is told when patience ends.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(missing) if Instant::now() >= end => {
                panic!("waited {} s for {what}: {missing}", PATIENCE.as_secs())
            }
            Err(_) => sleep(INTERVAL).await,
        }
    }
}

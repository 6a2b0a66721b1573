//! The lowest rate at which a message may come: who holds room for it has to fill it.

use std::time::Duration;
use tokio::time::Instant;

/// Octets that have to come within [`BLOCK_TIME`], over and over until the message is whole: some 200 a second, which
/// any line manages, and far too much for whoever wants to hold up others with nothing.
const BLOCK: usize = 64 * 1024;
/// How long they may take. A message that is smaller has it for the whole.
const BLOCK_TIME: Duration = Duration::from_secs(5 * 60);

/// How the content of a message comes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the block under way began. None while no content is.
    begun: Option<Instant>,
    /// Octets of it that came.
    came: usize,
}

impl Pace {
    /// So many octets came at `now`.
    pub(super) fn came(&mut self, octets: usize, now: Instant) {
        self.came = self.came.saturating_add(octets);
        if self.begun.is_some() && self.came >= BLOCK {
            (self.begun, self.came) = (Some(now), 0);
        }
    }

    /// Until when the block has to be there, if content is on its way at `now`.
    pub(super) fn end(&mut self, content: bool, now: Instant) -> Option<Instant> {
        if !content {
            *self = Pace::default();
            return None;
        }
        let begun = *self.begun.get_or_insert_with(|| {
            self.came = 0;
            now
        });
        Some(begun + BLOCK_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocks_have_to_come_one_after_the_other() {
        let start = Instant::now();
        let second = |count: u64| start + Duration::from_secs(count);
        let block_at = |count: u64| Some(second(count) + BLOCK_TIME);
        // When so many octets come, and until when the next ones have to.
        let table = [
            (10, BLOCK - 1, block_at(0)),
            (200, 1, block_at(200)),
            // Sent at once it buys no more time.
            (210, 1000 * BLOCK, block_at(210)),
            (250, 1, block_at(210)),
            (350, BLOCK - 2, block_at(210)),
            (360, 1, block_at(360)),
        ];
        let mut pace = Pace::default();
        assert_eq!(pace.end(true, start), block_at(0));
        for (at, octets, end) in table {
            pace.came(octets, second(at));
            assert_eq!(pace.end(true, second(at)), end, "at {at}");
        }
        assert_eq!(pace.end(false, second(400)), None);
        pace.came(BLOCK - 1, second(410));
        assert_eq!(pace.end(true, second(500)), block_at(500), "the next message has its own time");
        pace.came(1, second(510));
        assert_eq!(pace.end(true, second(510)), block_at(500), "what came before is not of it");
    }
}

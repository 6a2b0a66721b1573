//! Long lists and long work, a bounded piece at a time.

use super::ControlError;
use actors::Stretch;
use std::time::Duration;
use tokio::time::Instant;

/// A page has at most so many rows.
const LIMIT_MAX: usize = 10_000;

/// How long one call goes on. The next one does the rest, so that a person sees how far it has come.
const PART: Duration = Duration::from_millis(500);

/// A page of at most `limit` rows, at most 10,000, and where the next one begins. `slice` reads behind a place at most
/// so many rows, each time in a snapshot of its own, so that none is kept for as long as a search takes.
pub(super) fn page<R, P>(
    start: P,
    limit: usize,
    mut slice: impl FnMut(&P, usize) -> Result<(Vec<R>, Option<P>), ControlError>,
) -> Result<(Vec<R>, Option<P>), ControlError> {
    let limit = limit.clamp(1, LIMIT_MAX);
    let (mut place, mut rows) = (start, Vec::new());
    loop {
        let (found, next) = slice(&place, limit - rows.len())?;
        rows.extend(found);
        match next {
            Some(next) if rows.len() < limit => place = next,
            next => return Ok((rows, next)),
        }
    }
}

/// Does `part` of a stretch after `part` until nothing is left, or for as long as one call goes on; what is left.
pub(super) async fn parts<Id>(
    mut rest: Option<Stretch<Id>>,
    mut part: impl AsyncFnMut(Option<Stretch<Id>>) -> Result<Option<Stretch<Id>>, ControlError>,
) -> Result<Option<Stretch<Id>>, ControlError> {
    let end = Instant::now() + PART;
    loop {
        rest = part(rest).await?;
        if rest.is_none() || Instant::now() >= end {
            return Ok(rest);
        }
        // A part without a match is done at once; whoever shares the thread gets a turn.
        tokio::task::yield_now().await;
    }
}

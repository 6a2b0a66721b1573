//! An actor's one timer.

use actix::{Actor, AsyncContext, Context, Handler, Message, SpawnHandle};
use mail::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Sends its message at the earliest of the times it was set to. One that comes too early does no harm, and is
/// cheaper than setting it anew: whoever is woken looks, and sets it again.
#[derive(Default)]
pub(crate) struct Timer(Option<(Instant, SpawnHandle)>);

impl Timer {
    /// Lets `message` come at `at`, unless the timer goes off before that anyway.
    pub(crate) fn set<A, M>(&mut self, at: Instant, message: M, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>> + Handler<M>,
        M: Message + 'static,
    {
        if self.0.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        let handle = ctx.notify_later(message, at.saturating_duration_since(Instant::now()));
        if let Some((_, later)) = self.0.replace((at, handle)) {
            ctx.cancel_future(later);
        }
    }

    /// The message has come.
    pub(crate) fn went_off(&mut self) {
        self.0 = None;
    }
}

/// The moment of tokio's time at which a wall clock that shows `now` will show `at`, and not before.
pub(crate) fn instant_of(at: Timestamp, now: Timestamp) -> Instant {
    Instant::now() + at.since(now) + Duration::from_millis(1)
}

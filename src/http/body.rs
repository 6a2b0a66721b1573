//! Bodies of requests, bounded in size and in time.

use super::error::ApiError;
use actix_web::{error::PayloadError, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};

/// How long the next piece of a form may take to arrive.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a form may take as a whole, and how many octets more buy it a second each: 64 kbit/s, which the slowest
/// of links do.
const FORM_TIMEOUT: Duration = Duration::from_secs(60);
const RATE_MIN: u64 = 8 * 1024;

/// Reads and throws away what is left of a request, within bounds: much less than a request may be.
pub(super) async fn drain(payload: web::Payload) {
    Body::new(payload, 0).drain().await;
}

/// The body of a request, bounded in size and time. Clones read the same body.
#[derive(Clone)]
pub(super) struct Body {
    payload: Rc<RefCell<web::Payload>>,
    begun: Instant,
    max: u64,
    left: Rc<Cell<u64>>,
    over: Rc<Cell<bool>>,
}

impl Body {
    pub(super) fn new(payload: web::Payload, max: u64) -> Body {
        Body {
            payload: Rc::new(RefCell::new(payload)),
            begun: Instant::now(),
            max,
            left: Rc::new(Cell::new(max)),
            over: Rc::default(),
        }
    }

    /// The next of a stream that reads this body.
    pub(super) async fn next_of<S: Stream + Unpin>(
        &self,
        stream: &mut S,
    ) -> Result<Option<S::Item>, ApiError> {
        let received = self.max - self.left.get();
        let form_end = self.begun + FORM_TIMEOUT + Duration::from_secs(received / RATE_MIN);
        timeout_at(form_end.min(Instant::now() + PIECE_TIMEOUT), stream.next())
            .await
            .map_err(|_| ApiError::protocol("the rest of the form did not arrive in time"))
    }

    /// Whether it turned out to be larger than it may be.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Reads and throws away what is left, within bounds.
    pub(super) async fn drain(&self) {
        const MAX: u64 = 16 << 20;
        const TIME: Duration = Duration::from_secs(5);
        self.left.set(MAX);
        self.over.set(false);
        let mut body = self.clone();
        let _ = timeout(TIME, async { while let Some(Ok(_)) = body.next().await {} }).await;
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over.get() {
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        let polled = Pin::new(&mut *self.payload.borrow_mut()).poll_next(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            match self.left.get().checked_sub(piece.len() as u64) {
                Some(left) => self.left.set(left),
                None => {
                    self.over.set(true);
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                }
            }
        }
        polled
    }
}

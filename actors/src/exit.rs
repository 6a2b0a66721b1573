//! Exit notices: an actor that is gone tells its supervisor, however it went.

use actix::{Message, Recipient};

/// Stop, at the end of the process.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// An actor is gone.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct Exited {
    /// Which one.
    pub(crate) child: ChildId,
    /// Which life of it; news of an earlier one is old.
    pub(crate) generation: u64,
    /// It stopped because it had nothing to do, or was asked to.
    pub(crate) clean: bool,
}

/// The supervisor's children.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ChildId {
    Delivery(String),
    Webhooks,
    Suppressions,
    Janitor,
}

impl ChildId {
    /// The kind, for metrics and logs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            ChildId::Delivery(_) => "delivery",
            ChildId::Webhooks => "webhooks",
            ChildId::Suppressions => "suppressions",
            ChildId::Janitor => "janitor",
        }
    }
}

/// Sent by being dropped, so that panics, stops and the end of an arbiter are all told.
pub(crate) struct ExitNotice {
    exited: Option<Exited>,
    to: Recipient<Exited>,
}

impl ExitNotice {
    pub(crate) fn new(child: ChildId, generation: u64, to: Recipient<Exited>) -> ExitNotice {
        ExitNotice { exited: Some(Exited { child, generation, clean: false }), to }
    }

    /// The actor is about to stop because it wants to.
    pub(crate) fn clean(&mut self) {
        if let Some(exited) = &mut self.exited {
            exited.clean = true;
        }
    }
}

impl Drop for ExitNotice {
    fn drop(&mut self) {
        if let Some(exited) = self.exited.take() {
            self.to.do_send(exited);
        }
    }
}

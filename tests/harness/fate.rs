//! Sending over an embedded server, and what became of it.

use super::{Embedded, eventually, message_to};
use mail::QueueId;
use serde_json::Value;
use std::net::IpAddr;
use store::records::{Attempt, AttemptResult, MessageOutcome, TlsFacts, TlsPolicyKind};

/// What is known of a message after an attempt.
#[derive(Debug)]
pub(crate) struct Fate {
    /// Every attempt so far, at least one.
    pub(crate) attempts: Vec<Attempt>,
    /// How it left the queue; `None`: it is still there.
    pub(crate) outcome: Option<MessageOutcome>,
}

impl Fate {
    pub(crate) fn last(&self) -> &Attempt {
        self.attempts.last().expect("there was one")
    }

    /// `delivered`, `failed`, or `deferred` when it will be tried again.
    pub(crate) fn word(&self) -> &'static str {
        match self.outcome {
            None => "deferred",
            Some(MessageOutcome::Delivered) => "delivered",
            Some(MessageOutcome::Failed { .. }) => "failed",
            Some(MessageOutcome::Suppressed | MessageOutcome::Canceled) => "never tried",
        }
    }

    /// The code of the last reply, 0 without one.
    pub(crate) fn code(&self) -> u16 {
        self.last().result.answer().map_or(0, |answer| answer.code)
    }

    /// The enhanced code, of the reply or our own; empty without one.
    pub(crate) fn enhanced(&self) -> String {
        let code = match &self.last().result {
            AttemptResult::Delivered(answer) | AttemptResult::Refused(answer) => answer.enhanced,
            AttemptResult::Failed { enhanced, .. } => *enhanced,
        };
        code.map(|code| code.to_string()).unwrap_or_default()
    }

    pub(crate) fn host(&self) -> &str {
        &self.last().host
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.last().address
    }

    pub(crate) fn tls(&self) -> Option<&TlsFacts> {
        self.last().tls.as_ref()
    }

    pub(crate) fn policy(&self) -> Option<TlsPolicyKind> {
        self.last().policy
    }
}

impl Embedded {
    /// Sends a message to one recipient; its queue id.
    pub(crate) async fn send(&self, to: &str) -> u64 {
        self.send_request(&message_to(to)).await.remove(0)
    }

    /// Sends a message; the queue ids of its recipients.
    pub(crate) async fn send_request(&self, request: &Value) -> Vec<u64> {
        let sent = self.api().ok("Send", request).await;
        let submissions = sent["Submissions"].as_array().expect("the result of Send");
        submissions.iter().map(|one| one["QueueMsgID"].as_u64().expect("an id")).collect()
    }

    /// What became of a message, after its first attempt or later.
    pub(crate) async fn fate(&self, id: u64) -> Fate {
        self.fate_when(id, "an attempt", |fate| !fate.attempts.is_empty()).await
    }

    /// What became of a message in the end.
    pub(crate) async fn end(&self, id: u64) -> Fate {
        self.fate_when(id, "the end", |fate| fate.outcome.is_some()).await
    }

    /// Sends a message to one recipient, and waits for its first attempt.
    pub(crate) async fn try_to(&self, to: &str) -> Fate {
        self.fate(self.send(to).await).await
    }

    async fn fate_when(&self, id: u64, what: &str, wanted: impl Fn(&Fate) -> bool) -> Fate {
        eventually(&format!("{what} of message {id}"), async || {
            let fate = self.look(id).ok_or("it is not there")?;
            if wanted(&fate) { Ok(fate) } else { Err(format!("{fate:?}")) }
        })
        .await
    }

    fn look(&self, id: u64) -> Option<Fate> {
        let (id, store) = (QueueId(id), &self.app().handles.store);
        store
            .read(|view| {
                Ok(match view.message(id)? {
                    Some(queued) => Some(Fate { attempts: queued.attempts, outcome: None }),
                    None => view.retired_message(id)?.map(|retired| Fate {
                        attempts: retired.message.attempts,
                        outcome: Some(retired.outcome),
                    }),
                })
            })
            .expect("the store can be read")
    }
}

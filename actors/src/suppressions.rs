//! The suppression actor: what people and applications do to the suppression lists. Lists that deliveries
//! change are changed with the delivery's outcome, in one transaction.

use crate::{
    Clock, Metrics, StoreWriter, WriteError,
    exit::{ExitNotice, Stop},
};
use actix::{Actor, ActorContext, Addr, Context, Handler, Message, ResponseFuture};
use mail::{AccountId, Address, BaseAddress, SuppressionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use store::{NewSuppression, records::SuppressionSource};
use tokio::{sync::watch, time::timeout};

/// Put an address on a list.
#[derive(Message)]
#[rtype(result = "Result<SuppressionId, WriteError>")]
struct Add {
    account: AccountId,
    address: Address,
    reason: String,
    source: SuppressionSource,
}

/// Take an address off a list.
#[derive(Message)]
#[rtype(result = "Result<(), WriteError>")]
struct Remove {
    account: AccountId,
    address: BaseAddress,
}

/// Put many addresses on a list.
#[derive(Message)]
#[rtype(result = "Result<Imported, WriteError>")]
struct Import {
    account: AccountId,
    entries: Vec<ImportEntry>,
}

/// An address for a list, from a list that was kept elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportEntry {
    /// Which address.
    pub address: Address,
    /// Why, for people.
    pub reason: String,
    /// Since when; none: from now on.
    pub created: Option<Timestamp>,
    /// Who wanted it.
    pub source: SuppressionSource,
}

/// What became of the addresses of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// New on the list.
    pub added: usize,
    /// There before, and left as they were.
    pub present: usize,
}

/// Addresses in one change, so that an import never holds up accepting mail.
const IMPORT_BATCH: usize = 500;

#[derive(Clone)]
pub(crate) struct SuppressionDeps {
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// Where the actor lives now; it changes when it is made anew.
    pub(crate) address: Arc<watch::Sender<Option<Addr<SuppressionActor>>>>,
}

/// How long a caller waits for an actor that is being made anew.
const RESTART_WAIT: Duration = Duration::from_secs(5);

/// The way to change suppression lists by hand. Reading needs no actor: see `store::View::suppression`.
#[derive(Clone)]
pub struct Suppressions {
    address: watch::Receiver<Option<Addr<SuppressionActor>>>,
}

impl Suppressions {
    pub(crate) fn new(address: watch::Receiver<Option<Addr<SuppressionActor>>>) -> Suppressions {
        Suppressions { address }
    }

    /// Puts an address on an account's list.
    ///
    /// # Errors
    /// `Refused(Exists)` when its base address is there.
    pub async fn add(
        &self,
        account: AccountId,
        address: Address,
        reason: String,
        source: SuppressionSource,
    ) -> Result<SuppressionId, WriteError> {
        self.actor()
            .await?
            .send(Add { account, address, reason, source })
            .await
            .map_err(|_| WriteError::Stopped)?
    }

    /// Puts addresses on an account's list; when this returns an error, some of them may be there.
    ///
    /// # Errors
    /// `Refused(Full)` when room runs out.
    pub async fn import(
        &self,
        account: AccountId,
        entries: Vec<ImportEntry>,
    ) -> Result<Imported, WriteError> {
        self.actor().await?.send(Import { account, entries }).await.map_err(|_| WriteError::Stopped)?
    }

    /// Takes an address off an account's list.
    ///
    /// # Errors
    /// `Refused(NotFound)` when its base address is not there.
    pub async fn remove(&self, account: AccountId, address: &Address) -> Result<(), WriteError> {
        let address = BaseAddress::of(address);
        self.actor().await?.send(Remove { account, address }).await.map_err(|_| WriteError::Stopped)?
    }

    async fn actor(&self) -> Result<Addr<SuppressionActor>, WriteError> {
        let mut address = self.address.clone();
        let there = timeout(RESTART_WAIT, address.wait_for(Option::is_some)).await;
        let there = there.map_err(|_| WriteError::Stopped)?.map_err(|_| WriteError::Stopped)?;
        there.clone().ok_or(WriteError::Stopped)
    }
}

pub(crate) struct SuppressionActor {
    deps: SuppressionDeps,
    exit: ExitNotice,
}

impl SuppressionActor {
    pub(crate) fn new(deps: SuppressionDeps, exit: ExitNotice) -> SuppressionActor {
        SuppressionActor { deps, exit }
    }
}

impl Actor for SuppressionActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.deps.metrics.actors_alive.with_label_values(&["suppressions"]).inc();
    }
}

impl Drop for SuppressionActor {
    fn drop(&mut self) {
        self.deps.metrics.actors_alive.with_label_values(&["suppressions"]).dec();
    }
}

impl Handler<Add> for SuppressionActor {
    type Result = ResponseFuture<Result<SuppressionId, WriteError>>;

    fn handle(&mut self, add: Add, _: &mut Context<Self>) -> Self::Result {
        let deps = self.deps.clone();
        let now = deps.clock.now();
        let Add { account, address, reason, source } = add;
        Box::pin(async move {
            let id = deps.writer.suppress(NewSuppression { account, address, now, reason, source }).await?;
            deps.metrics.suppressions_added.with_label_values(&["manual"]).inc();
            Ok(id)
        })
    }
}

impl Handler<Import> for SuppressionActor {
    type Result = ResponseFuture<Result<Imported, WriteError>>;

    fn handle(&mut self, Import { account, entries }: Import, _: &mut Context<Self>) -> Self::Result {
        let deps = self.deps.clone();
        let now = deps.clock.now();
        Box::pin(async move {
            let mut done = Imported::default();
            let mut entries = entries.into_iter().map(|entry| {
                let ImportEntry { address, reason, created, source } = entry;
                NewSuppression { account, address, now: created.unwrap_or(now), reason, source }
            });
            loop {
                let batch: Vec<_> = entries.by_ref().take(IMPORT_BATCH).collect();
                if batch.is_empty() {
                    return Ok(done);
                }
                let (added, present) = deps.writer.suppress_many(batch).await?;
                done = Imported { added: done.added + added, present: done.present + present };
                deps.metrics.suppressions_added.with_label_values(&["import"]).inc_by(added as u64);
            }
        })
    }
}

impl Handler<Remove> for SuppressionActor {
    type Result = ResponseFuture<Result<(), WriteError>>;

    fn handle(&mut self, Remove { account, address }: Remove, _: &mut Context<Self>) -> Self::Result {
        let writer = self.deps.writer.clone();
        Box::pin(async move { writer.unsuppress(account, address).await })
    }
}

impl Handler<Stop> for SuppressionActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.exit.clean();
        ctx.stop();
    }
}

//! The store writer: every change goes through it, and all that wait are committed together.
//!
//! It works alone on its arbiter, since syncing blocks. What arrives during a sync is the next batch: its
//! mailbox is drained before the commit that it sent to itself is handled. So batches are small when there is
//! little to do and large when there is much, without a timer.

use crate::{EventLog, Metrics, hints::Hints};
use actix::{Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message};
use mail::{AccountId, BaseAddress, Domain, HoldRuleId, HookId, MsgId, QueueId, SuppressionId};
use std::{ops::Range, sync::Arc, time::Duration};
use store::{
    Applied, Arrival, Arrived, Change, HookOperation, HookResend, HookSettlement, MessageAction,
    NewSuppression, QueueOperation, Refusal, Settlement, Store, StoreError, Submission, Sweep, Writer,
    records::{ContentRecord, FirstAnswer, HoldRuleRecord, StsPolicyRecord},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

/// One change, and who waits for it.
#[derive(Message)]
#[rtype(result = "()")]
struct Write {
    change: Change,
    reply: oneshot::Sender<Result<Applied, WriteError>>,
    /// Room in the queue to the writer, given back when the change is committed.
    _permit: Option<Permit>,
}

/// Commit what has gathered.
#[derive(Message)]
#[rtype(result = "()")]
struct Commit;

/// A message that is in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The ids of its recipients, in their order.
    pub ids: Range<u64>,
    /// The sender's copy did not fit in the account's mailboxes.
    pub copy_left_out: bool,
    /// The request came before, and was answered so; nothing was queued now.
    pub before: Option<FirstAnswer>,
}

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// Too many changes wait already. Nothing was done; try later.
    #[error("too much is waiting to be stored; try again in a moment")]
    Busy,
    /// The change itself cannot be made.
    #[error(transparent)]
    Refused(Refusal),
    /// The store failed; nothing was done.
    #[error("{0}")]
    Failed(Arc<StoreError>),
    /// The server is stopping; it is not known whether the change was made.
    #[error("the server is stopping")]
    Stopped,
}

impl WriteError {
    /// Whether the same change may succeed later: the server sheds load or is short of room.
    pub fn is_temporary(&self) -> bool {
        match self {
            WriteError::Busy | WriteError::Stopped | WriteError::Refused(Refusal::Full) => true,
            WriteError::Failed(error) => matches!(**error, StoreError::Full),
            WriteError::Refused(_) => false,
        }
    }
}

/// Bounds of the writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterLimits {
    /// New messages that may wait for a commit at a time.
    pub pending_max: usize,
    /// Their bytes.
    pub pending_bytes_max: usize,
    /// Changes in one commit.
    pub batch_max: usize,
    /// Bytes in one commit, roughly.
    pub batch_bytes_max: usize,
}

struct Permit {
    _count: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

/// The way to write. Every verb returns after the commit that holds the change is on disk.
#[derive(Clone)]
pub struct StoreWriter {
    store: Store,
    addr: Addr<WriterActor>,
    room: Arc<Semaphore>,
    /// In KiB, since a semaphore counts to 2^32 a permit.
    room_kib: Arc<Semaphore>,
    room_kib_max: u32,
    alive: watch::Receiver<()>,
}

impl StoreWriter {
    /// Starts the actor: on the given arbiter, which it has to itself since it blocks, or in tests on the current
    /// one.
    pub(crate) fn start(
        store: Store,
        writer: Writer,
        limits: WriterLimits,
        hints: WriterHints,
        metrics: Metrics,
        arbiter: Option<&ArbiterHandle>,
    ) -> StoreWriter {
        let (sender, alive) = watch::channel(());
        let actor = WriterActor::new(writer, limits, hints, metrics, sender);
        let addr = match arbiter {
            Some(arbiter) => WriterActor::start_in_arbiter(arbiter, move |_| actor),
            None => actor.start(),
        };
        let room_kib_max = u32::try_from(limits.pending_bytes_max / 1024).unwrap_or(u32::MAX).max(1);
        StoreWriter {
            store,
            addr,
            room: Arc::new(Semaphore::new(limits.pending_max)),
            room_kib: Arc::new(Semaphore::new(room_kib_max as usize)),
            room_kib_max,
            alive,
        }
    }

    /// Puts a message in the queue.
    ///
    /// # Errors
    /// [`WriteError::Busy`] when too many wait. Dropping the future does not take the message back.
    pub async fn accept(&self, submission: Submission) -> Result<Accepted, WriteError> {
        let recipients = submission.recipients.len() as u64;
        let copy = submission.sent_copy.content().and_then(in_file);
        let staged = in_file(&submission.content).into_iter().chain(copy.clone()).collect();
        let (first, copy_left_out, before) =
            match self.with_staged(staged, Change::Accept(submission)).await? {
                Applied::Accepted(QueueId(first)) => (first, false, None),
                Applied::AcceptedWithoutCopy(QueueId(first)) => (first, true, None),
                Applied::AcceptedBefore(answer) => (answer.first.0, false, Some(answer)),
                other => unreachable!("an accept is answered with queue ids, not {other:?}"),
            };
        if copy_left_out {
            self.store.discard(copy.as_slice());
        }
        Ok(Accepted { ids: first..first + recipients, copy_left_out, before })
    }

    /// Stores a message that arrived. Returns its ids, in the order of the recipients.
    ///
    /// # Errors
    /// [`WriteError::Busy`] when too many wait.
    pub async fn arrive(&self, arrival: Arrival) -> Result<Vec<Arrived>, WriteError> {
        let staged = in_file(&arrival.content).into_iter().collect();
        match self.with_staged(staged, Change::Arrive(arrival)).await? {
            Applied::Arrived(arrived) => Ok(arrived),
            other => unreachable!("an arrival is answered with its fate, not {other:?}"),
        }
    }

    /// Changes a message in a mailbox of an account.
    ///
    /// # Errors
    /// `Refused(NotFound)` when the account has no such message, and the refusals of the action.
    pub async fn change_message(
        &self,
        account: AccountId,
        id: MsgId,
        action: MessageAction,
    ) -> Result<(), WriteError> {
        self.bounded(Change::ChangeMessage { account, id, action }).await.map(drop)
    }

    /// Records what became of messages; returns how many addresses that put on suppression lists. Takes no
    /// permit: attempts are bounded themselves, and settling must not starve behind accepting.
    pub(crate) async fn settle(&self, settlements: Vec<Settlement>) -> Result<usize, WriteError> {
        match self.write(Change::Settle(settlements), None).await? {
            Applied::Settled { suppressed } => Ok(suppressed),
            other => unreachable!("a settlement is answered with a number, not {other:?}"),
        }
    }

    /// Records what became of webhook calls.
    pub(crate) async fn settle_hooks(&self, settlements: Vec<HookSettlement>) -> Result<(), WriteError> {
        self.write(Change::SettleHooks(settlements), None).await.map(drop)
    }

    /// Keeps the MTA-STS policy of a domain.
    pub(crate) async fn put_sts_policy(
        &self,
        domain: Domain,
        policy: StsPolicyRecord,
    ) -> Result<(), WriteError> {
        self.bounded(Change::PutStsPolicy { domain, policy: Some(policy) }).await.map(drop)
    }

    pub(crate) async fn suppress(&self, new: NewSuppression) -> Result<SuppressionId, WriteError> {
        match self.bounded(Change::Suppress(new)).await? {
            Applied::Suppressed(id) => Ok(id),
            other => unreachable!("a suppression is answered with its id, not {other:?}"),
        }
    }

    /// How many of the addresses were added, and how many there before. Takes no permit, as [`StoreWriter::operate`].
    pub(crate) async fn suppress_many(&self, new: Vec<NewSuppression>) -> Result<(usize, usize), WriteError> {
        match self.write(Change::SuppressMany(new), None).await? {
            Applied::SuppressedMany { added, present } => Ok((added, present)),
            other => unreachable!("many suppressions are answered with numbers, not {other:?}"),
        }
    }

    pub(crate) async fn unsuppress(
        &self,
        account: AccountId,
        address: BaseAddress,
    ) -> Result<(), WriteError> {
        self.bounded(Change::Unsuppress { account, address }).await.map(drop)
    }

    /// Stores a domain.
    ///
    /// # Errors
    /// [`WriteError::Busy`] when too many changes wait.
    pub async fn put_domain(&self, domain: store::records::DomainRecord) -> Result<(), WriteError> {
        self.bounded(Change::PutDomain(domain)).await.map(drop)
    }

    /// Stores an account, in place of the one of that name.
    ///
    /// # Errors
    /// [`WriteError::Busy`] when too many changes wait.
    pub async fn put_account(&self, account: store::records::AccountRecord) -> Result<AccountId, WriteError> {
        match self.bounded(Change::PutAccount(account)).await? {
            Applied::AccountPut(id) => Ok(id),
            other => unreachable!("an account is answered with its id, not {other:?}"),
        }
    }

    /// Keeps what SCRAM needs of an account's password.
    ///
    /// # Errors
    /// `Refused` when that is another by now, or somebody kept it before, and [`WriteError::Busy`] when too many
    /// changes wait.
    pub async fn put_scram_keys(
        &self,
        account: AccountId,
        password_hash: String,
        keys: store::records::ScramKeys,
    ) -> Result<(), WriteError> {
        self.bounded(Change::PutScramKeys { account, password_hash, keys }).await.map(drop)
    }

    /// Does something with messages of the queue; returns how many that changed. Takes no permit: operators are few,
    /// and what they do is needed most when much waits.
    pub(crate) async fn operate(&self, operation: QueueOperation) -> Result<usize, WriteError> {
        let staged: Vec<_> = operation.reports().filter_map(|report| in_file(&report.content)).collect();
        let result = self.write(Change::Operate(operation), None).await;
        if let Err(WriteError::Busy | WriteError::Refused(_) | WriteError::Failed(_)) = result {
            self.store.discard(&staged);
        }
        match result? {
            Applied::Operated { changed } => Ok(changed),
            other => unreachable!("an operation is answered with a number, not {other:?}"),
        }
    }

    /// Does something with pending hooks; returns how many that changed. Takes no permit, as [`StoreWriter::operate`].
    pub(crate) async fn operate_hooks(&self, operation: HookOperation) -> Result<usize, WriteError> {
        match self.write(Change::OperateHooks(operation), None).await? {
            Applied::Operated { changed } => Ok(changed),
            other => unreachable!("an operation is answered with a number, not {other:?}"),
        }
    }

    /// Tells again what retired hooks told; returns them, each with the new one, and how many had nowhere to go.
    pub(crate) async fn resend_hooks(
        &self,
        resend: HookResend,
    ) -> Result<(Vec<(HookId, HookId)>, usize), WriteError> {
        match self.bounded(Change::ResendHooks(resend)).await? {
            Applied::HooksResent { made, without_webhook } => Ok((made, without_webhook)),
            other => unreachable!("telling again is answered with the new hooks, not {other:?}"),
        }
    }

    pub(crate) async fn add_hold_rule(&self, rule: HoldRuleRecord) -> Result<HoldRuleId, WriteError> {
        match self.bounded(Change::AddHoldRule(rule)).await? {
            Applied::HoldRuleAdded(id) => Ok(id),
            other => unreachable!("a rule is answered with its id, not {other:?}"),
        }
    }

    pub(crate) async fn remove_hold_rule(&self, id: HoldRuleId) -> Result<(), WriteError> {
        self.bounded(Change::RemoveHoldRule(id)).await.map(drop)
    }

    /// Changes domains and accounts, all together or none.
    ///
    /// # Errors
    /// `Refused(DirectoryChanged)` when they are no longer as whoever decided this saw them, and
    /// [`WriteError::Busy`] when too many changes wait.
    pub async fn change_directory(&self, change: store::DirectoryChange) -> Result<(), WriteError> {
        self.bounded(Change::ChangeDirectory(change)).await.map(drop)
    }

    pub(crate) async fn sweep(&self, sweep: Sweep) -> Result<usize, WriteError> {
        match self.write(Change::Sweep(sweep), None).await? {
            Applied::Swept(removed) => Ok(removed),
            other => unreachable!("a sweep is answered with a number, not {other:?}"),
        }
    }

    /// Changes that may still begin to wait before callers hear [`WriteError::Busy`].
    pub fn room(&self) -> usize {
        self.room.available_permits()
    }

    /// Returns when the actor is gone. Without it nothing can be stored: the process is of no use any more.
    pub async fn died(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    /// Makes a change that refers to staged contents; when it is not made, they are of no use to anybody.
    async fn with_staged(&self, staged: Vec<ContentRecord>, change: Change) -> Result<Applied, WriteError> {
        let result = self.bounded(change).await;
        if let Err(WriteError::Busy | WriteError::Refused(_) | WriteError::Failed(_)) = result {
            self.store.discard(&staged);
        }
        result
    }

    async fn bounded(&self, change: Change) -> Result<Applied, WriteError> {
        let permit = self.permit(change.weight()).map_err(|error| match error {
            TryAcquireError::NoPermits => WriteError::Busy,
            TryAcquireError::Closed => WriteError::Stopped,
        })?;
        self.write(change, Some(permit)).await
    }

    fn permit(&self, bytes: usize) -> Result<Permit, TryAcquireError> {
        // One that is larger than all the room still gets in, alone.
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).clamp(1, self.room_kib_max);
        Ok(Permit {
            _count: self.room.clone().try_acquire_owned()?,
            _kib: self.room_kib.clone().try_acquire_many_owned(kib)?,
        })
    }

    async fn write(&self, change: Change, permit: Option<Permit>) -> Result<Applied, WriteError> {
        let (reply, done) = oneshot::channel();
        self.addr.do_send(Write { change, reply, _permit: permit });
        done.await.map_err(|_| WriteError::Stopped)?
    }
}

/// Writes until it is written, however long that takes, since what is written is known only to the caller.
/// `None` when nothing can be written any more. That nothing can be stored is logged by the actor.
pub(crate) async fn persist<T>(write: impl AsyncFn() -> Result<T, WriteError>) -> Option<T> {
    let mut wait = Duration::from_millis(100);
    loop {
        match write().await {
            Ok(done) => return Some(done),
            Err(WriteError::Stopped) => return None,
            Err(error) => tracing::debug!(%error, "an outcome cannot be stored; trying again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

/// The record, when its content is in a file.
fn in_file(content: &ContentRecord) -> Option<ContentRecord> {
    matches!(content, ContentRecord::File { .. }).then(|| content.clone())
}

/// Whom commits give hints to.
#[derive(Clone)]
pub(crate) struct WriterHints {
    pub(crate) destinations: Hints,
    pub(crate) urls: Hints,
    pub(crate) event_log: EventLog,
}

struct WriterActor {
    writer: Writer,
    limits: WriterLimits,
    hints: WriterHints,
    metrics: Metrics,
    batch: Vec<Write>,
    batch_bytes: usize,
    /// The latest commit failed.
    failing: bool,
    /// No commit will succeed any more.
    fatal: bool,
    /// Closes when the actor goes, however it goes.
    _alive: watch::Sender<()>,
}

impl WriterActor {
    fn new(
        writer: Writer,
        limits: WriterLimits,
        hints: WriterHints,
        metrics: Metrics,
        alive: watch::Sender<()>,
    ) -> WriterActor {
        WriterActor {
            writer,
            limits,
            hints,
            metrics,
            batch: Vec::new(),
            batch_bytes: 0,
            failing: false,
            fatal: false,
            _alive: alive,
        }
    }

    fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return;
        }
        let timer = self.metrics.commit_seconds.start_timer();
        let committed = self.writer.commit(batch.iter().map(|write| &write.change));
        timer.observe_duration();
        self.metrics.commit_changes.observe(batch.len() as f64);
        match committed {
            Ok(committed) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("changes can be stored again");
                }
                for (write, result) in batch.into_iter().zip(committed.results) {
                    // Nobody listens when the client hung up; the change is made all the same.
                    let _ = write.reply.send(result.map_err(WriteError::Refused));
                }
                self.hints.destinations.give(committed.touched.destinations);
                self.hints.urls.give(committed.touched.urls);
                self.hints.event_log.grew(committed.touched.event_logs);
            }
            Err(error) => {
                // Once, and not for every batch of a disk that stays full.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, changes = batch.len(), "nothing can be stored");
                }
                self.metrics.commit_failures.inc();
                self.fatal = error.is_fatal();
                let error = Arc::new(error);
                for write in batch {
                    let _ = write.reply.send(Err(WriteError::Failed(error.clone())));
                }
            }
        }
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        if !std::thread::panicking() {
            self.commit();
        }
    }
}

impl Handler<Write> for WriterActor {
    type Result = ();

    fn handle(&mut self, write: Write, ctx: &mut Context<Self>) {
        if self.batch.is_empty() {
            ctx.notify(Commit);
        }
        self.batch_bytes += write.change.weight();
        self.batch.push(write);
        if self.batch.len() >= self.limits.batch_max || self.batch_bytes >= self.limits.batch_bytes_max {
            self.commit();
        }
    }
}

impl Handler<Commit> for WriterActor {
    type Result = ();

    fn handle(&mut self, _: Commit, ctx: &mut Context<Self>) {
        self.commit();
        if self.fatal {
            ctx.stop();
        }
    }
}

#[cfg(test)]
impl StoreWriter {
    /// Breaks the actor, as a bug would.
    pub(crate) fn break_down(&self) {
        self.addr.do_send(crate::delivery::Break);
    }
}

#[cfg(test)]
impl Handler<crate::delivery::Break> for WriterActor {
    type Result = ();

    fn handle(&mut self, _: crate::delivery::Break, _: &mut Context<Self>) {
        panic!("scripted");
    }
}

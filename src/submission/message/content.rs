//! The octets of a submitted message: read, signed, and on disk when there are many. Works a while on large ones, so these
//! belong on a thread that may block.

use crate::{sending::signs_slowly, slow_work::work_on};
use actors::AwsLc;
use bytes::Bytes;
use mail::{
    Address, MessageId, SignError,
    submitted::{self, Submitted, SubmittedError},
};
use smtp::Sha256;
use std::sync::Arc;
use store::{DirectoryDomain, Store, StoreError, records::ContentRecord};

/// A larger message is worked on by a thread that may block.
const AT_ONCE_MAX: usize = 256 * 1024;

/// A message that was read.
pub(super) struct Read {
    pub(super) message: Submitted,
    /// What tells it from others, as it came, where that is wanted.
    pub(super) digest: Option<ContentDigest>,
}

/// A content that a change can refer to.
pub(super) struct Prepared {
    pub(super) content: ContentRecord,
    pub(super) size: u64,
    pub(super) eight_bit: bool,
}

/// Why a message is not ready.
#[derive(Debug)]
pub(super) enum Unready {
    Sign(SignError),
    Store(StoreError),
    /// The thread broke down.
    Broken,
}

/// SHA-256 of a message as it came.
#[derive(Clone, Copy)]
pub(super) struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// What tells the message to a recipient from all that may be queued as well.
    pub(super) fn to(self, message_id: &MessageId, recipient: &Address) -> [u8; 32] {
        let names = format!("message\0{message_id}\0{}\0", recipient.to_smtp());
        AwsLc.digest(&[names.as_bytes(), &self.0].concat())
    }
}

/// Whether a header may have UTF-8 in what goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderForm {
    /// It goes as it is: the client says that it is for hosts with SMTPUTF8.
    AsItIs,
    /// It is written in ASCII, for all hosts.
    Ascii,
}

/// Reads a message.
pub(super) async fn read(
    content: Bytes,
    with_digest: bool,
    form: HeaderForm,
) -> Result<Result<Read, SubmittedError>, Unready> {
    let is_slow = content.len() > AT_ONCE_MAX;
    let work = move || {
        let digest = with_digest.then(|| ContentDigest(AwsLc.digest(&content)));
        let mut message = submitted::read(&content)?;
        if form == HeaderForm::Ascii {
            message.encode_header();
        }
        Ok(Read { message, digest })
    };
    work_on(is_slow, work).await.map_err(|_| Unready::Broken)
}

/// Signs a message with the keys of its author's domain, and hands it to the store under `name`, which is random, with
/// `trace` in front.
pub(super) async fn prepare(
    store: &Store,
    name: [u8; 16],
    trace: String,
    message: Submitted,
    domain: Option<Arc<DirectoryDomain>>,
) -> Result<Prepared, Unready> {
    let size = message.header.len() + message.rest.len();
    let is_slow = size > AT_ONCE_MAX || store.is_large(size) || signs_slowly(domain.as_deref());
    let store = store.clone();
    let work = move || sign_and_stage(&store, name, trace, message, domain.as_deref());
    work_on(is_slow, work).await.map_err(|_| Unready::Broken)?
}

/// The body is not copied, unless the whole is kept in memory.
fn sign_and_stage(
    store: &Store,
    name: [u8; 16],
    trace: String,
    message: Submitted,
    domain: Option<&DirectoryDomain>,
) -> Result<Prepared, Unready> {
    let mut front = trace.into_bytes();
    for signer in domain.map(|domain| &domain.signers[..]).unwrap_or_default() {
        front.extend(signer.sign_pieces(&message.header, &message.rest).map_err(Unready::Sign)?);
    }
    front.extend_from_slice(&message.header);
    Ok(Prepared {
        eight_bit: message.eight_bit() || !front.is_ascii(),
        size: (front.len() + message.rest.len()) as u64,
        content: store.stage_behind(name, &front, message.rest).map_err(Unready::Store)?,
    })
}

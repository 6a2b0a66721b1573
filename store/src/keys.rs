//! Ordered keys: their byte order is their order in time or by name.

use mail::{AccountId, ContentId, EventSeq, HoldRuleId, HookId, MailboxId, MsgId, QueueId, Timestamp};

/// A table's key. Encodings are 1 to 511 bytes long and sort as the key does.
pub(crate) trait Key: Sized {
    /// The bytes of the key.
    fn encode(&self) -> KeyBytes;
    /// The key of those bytes; `None` when they are none.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// An encoded key.
pub(crate) type KeyBytes = Vec<u8>;

/// The longest text part of a key, in bytes. Longer ones are cut; see [`DueKey`].
pub(crate) const TEXT_MAX: usize = 400;

macro_rules! id_key {
    ($($name:ident($int:ty)),*) => {$(
        impl Key for $name {
            fn encode(&self) -> KeyBytes {
                self.0.to_be_bytes().to_vec()
            }
            fn decode(bytes: &[u8]) -> Option<Self> {
                Some($name(<$int>::from_be_bytes(bytes.try_into().ok()?)))
            }
        }
    )*};
}

id_key!(QueueId(u64), ContentId(u64), HookId(u64), MsgId(u64), HoldRuleId(u64), AccountId(u32));

impl Key for String {
    fn encode(&self) -> KeyBytes {
        self.as_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl Key for (AccountId, EventSeq) {
    fn encode(&self) -> KeyBytes {
        [&self.0.0.to_be_bytes()[..], &self.1.0.to_be_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (account, seq) = bytes.split_first_chunk()?;
        Some((AccountId(u32::from_be_bytes(*account)), EventSeq(u64::from_be_bytes(seq.try_into().ok()?))))
    }
}

/// An account and a text within it, such as a base address.
impl Key for (AccountId, String) {
    fn encode(&self) -> KeyBytes {
        [&self.0.0.to_be_bytes()[..], cut(&self.1).as_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (account, text) = bytes.split_first_chunk()?;
        Some((AccountId(u32::from_be_bytes(*account)), String::decode(text)?))
    }
}

impl Key for (AccountId, Timestamp) {
    fn encode(&self) -> KeyBytes {
        [&self.0.0.to_be_bytes()[..], &time_bytes(self.1)].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (account, time) = bytes.split_first_chunk()?;
        Some((AccountId(u32::from_be_bytes(*account)), time_from(time.try_into().ok()?)))
    }
}

/// A message of the queue by the time of its next attempt.
impl Key for (Timestamp, QueueId) {
    fn encode(&self) -> KeyBytes {
        [time_bytes(self.0), self.1.0.to_be_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (time, id) = bytes.split_first_chunk()?;
        Some((time_from(*time), QueueId::decode(id)?))
    }
}

/// A name by the time of its end.
impl Key for (Timestamp, String) {
    fn encode(&self) -> KeyBytes {
        [&time_bytes(self.0)[..], cut(&self.1).as_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (time, name) = bytes.split_first_chunk()?;
        Some((time_from(*time), String::decode(name)?))
    }
}

impl Key for (AccountId, MailboxId) {
    fn encode(&self) -> KeyBytes {
        [self.0.0.to_be_bytes(), self.1.0.to_be_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (account, mailbox) = bytes.split_first_chunk()?;
        Some((
            AccountId(u32::from_be_bytes(*account)),
            MailboxId(u32::from_be_bytes(mailbox.try_into().ok()?)),
        ))
    }
}

impl Key for (MailboxId, MsgId) {
    fn encode(&self) -> KeyBytes {
        [&self.0.0.to_be_bytes()[..], &self.1.0.to_be_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mailbox, msg) = bytes.split_first_chunk()?;
        Some((MailboxId(u32::from_be_bytes(*mailbox)), MsgId(u64::from_be_bytes(msg.try_into().ok()?))))
    }
}

/// Work that is due at a time, in a group whose members are done side by side: a destination or a URL. Within it,
/// the work of each account stands apart, so that accounts can take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DueKey {
    /// The group; cut to [`TEXT_MAX`] bytes, so that two very long ones may share a group, which costs them
    /// nothing but pace. Never contains a zero byte.
    pub group: String,
    /// Whose work it is.
    pub account: AccountId,
    /// When it is due.
    pub at: Timestamp,
    /// The id of the work.
    pub id: u64,
}

impl Key for DueKey {
    fn encode(&self) -> KeyBytes {
        let group = cut(&self.group);
        let mut bytes = Vec::with_capacity(group.len() + 21);
        bytes.extend_from_slice(group.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&self.account.0.to_be_bytes());
        bytes.extend_from_slice(&time_bytes(self.at));
        bytes.extend_from_slice(&self.id.to_be_bytes());
        bytes
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rest, id) = bytes.split_last_chunk()?;
        let (rest, at) = rest.split_last_chunk()?;
        let (rest, account) = rest.split_last_chunk()?;
        let group = rest.strip_suffix(&[0])?;
        Some(DueKey {
            group: String::decode(group)?,
            account: AccountId(u32::from_be_bytes(*account)),
            at: time_from(*at),
            id: u64::from_be_bytes(*id),
        })
    }
}

/// A message by a name that reports call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferenceKey {
    /// Whose message it is.
    pub account: AccountId,
    /// Its Message-ID without angle brackets, or its envelope id; cut to [`TEXT_MAX`] bytes.
    pub name: String,
    /// Which of those that are called so.
    pub id: QueueId,
}

impl ReferenceKey {
    pub(crate) fn new(account: AccountId, name: &str, id: QueueId) -> ReferenceKey {
        ReferenceKey { account, name: cut(name).into(), id }
    }

    /// What the keys of all messages of that name start with.
    pub(crate) fn prefix(account: AccountId, name: &str) -> KeyBytes {
        [&account.0.to_be_bytes()[..], cut(name).as_bytes(), &[0]].concat()
    }
}

impl Key for ReferenceKey {
    fn encode(&self) -> KeyBytes {
        let mut bytes = ReferenceKey::prefix(self.account, &self.name);
        bytes.extend_from_slice(&self.id.0.to_be_bytes());
        bytes
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rest, id) = bytes.split_last_chunk()?;
        let (account, name) = rest.strip_suffix(&[0])?.split_first_chunk()?;
        Some(ReferenceKey {
            account: AccountId(u32::from_be_bytes(*account)),
            name: String::decode(name)?,
            id: QueueId(u64::from_be_bytes(*id)),
        })
    }
}

/// What came back about a message, by its place in order.
impl Key for (QueueId, u32) {
    fn encode(&self) -> KeyBytes {
        [&self.0.0.to_be_bytes()[..], &self.1.to_be_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, place) = bytes.split_first_chunk()?;
        Some((QueueId(u64::from_be_bytes(*id)), u32::from_be_bytes(place.try_into().ok()?)))
    }
}

/// What is queued once.
impl Key for (AccountId, [u8; 32]) {
    fn encode(&self) -> KeyBytes {
        [&self.0.0.to_be_bytes()[..], &self.1].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (account, digest) = bytes.split_first_chunk()?;
        Some((AccountId(u32::from_be_bytes(*account)), digest.try_into().ok()?))
    }
}

/// The same by its end.
impl Key for (Timestamp, AccountId, [u8; 32]) {
    fn encode(&self) -> KeyBytes {
        [&time_bytes(self.0)[..], &(self.1, self.2).encode()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (account, digest) = Key::decode(rest)?;
        Some((time_from(*time), account, digest))
    }
}

/// What retention removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Expiring {
    /// A retired queue message.
    RetiredMessage(QueueId),
    /// A retired hook.
    RetiredHook(HookId),
}

/// When something expires, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpiryKey {
    /// From this time on it may be removed.
    pub at: Timestamp,
    /// What it is.
    pub what: Expiring,
}

impl Key for ExpiryKey {
    fn encode(&self) -> KeyBytes {
        let (kind, id) = match self.what {
            Expiring::RetiredMessage(id) => (1, id.0),
            Expiring::RetiredHook(id) => (2, id.0),
        };
        [&time_bytes(self.at)[..], &[kind], &id.to_be_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (at, rest) = bytes.split_first_chunk()?;
        let (kind, id) = rest.split_first()?;
        let id = u64::from_be_bytes(id.try_into().ok()?);
        let what = match kind {
            1 => Expiring::RetiredMessage(QueueId(id)),
            2 => Expiring::RetiredHook(HookId(id)),
            _ => return None,
        };
        Some(ExpiryKey { at: time_from(*at), what })
    }
}

/// The longest start of `text` that fits a key.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

/// Big-endian with the sign bit flipped, so that times before 1970 sort first.
pub(crate) fn time_bytes(time: Timestamp) -> [u8; 8] {
    (time.as_millis().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn time_from(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_millis((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn due_keys_sort_by_group_then_account_then_time_then_id(
            a in ("[a-z.]{1,12}", any::<u32>(), any::<i64>(), any::<u64>()),
            b in ("[a-z.]{1,12}", any::<u32>(), any::<i64>(), any::<u64>()),
        ) {
            let key = |(group, account, at, id): &(String, u32, i64, u64)| DueKey {
                group: group.clone(),
                account: AccountId(*account),
                at: Timestamp::from_millis(*at),
                id: *id,
            };
            prop_assert_eq!(key(&a).encode().cmp(&key(&b).encode()), a.cmp(&b));
            prop_assert_eq!(DueKey::decode(&key(&a).encode()), Some(key(&a)));
        }
    }

    #[test]
    fn a_group_longer_than_a_key_is_cut() {
        let key = DueKey { group: "ä".repeat(500), account: AccountId(1), at: Timestamp::default(), id: 7 };
        assert!(key.encode().len() <= 511);
        assert_eq!(DueKey::decode(&key.encode()).map(|k| k.group.len()), Some(TEXT_MAX));
    }
}

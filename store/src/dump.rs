//! The store as text: every record on a line, in key order.

use crate::{StoreError, View, keys::Key, records::ContentRecord, tables::Table};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::{Debug, Write},
    ops::Bound,
};

pub(crate) fn dump(view: &View<'_>) -> Result<String, StoreError> {
    let mut out = String::new();
    let tables = view.tables;
    section(&mut out, view, &tables.domains)?;
    section(&mut out, view, &tables.accounts)?;
    section(&mut out, view, &tables.leaving)?;
    for (id, content) in tables.contents.from(&view.txn, Bound::Unbounded, usize::MAX)? {
        let shares = tables.content_shares.get(&view.txn, &id)?.unwrap_or(1);
        let _ = match content {
            ContentRecord::Inline(bytes) => {
                writeln!(out, "contents {id} {} bytes, {shares} shares", bytes.len())
            }
            ContentRecord::File { size, .. } => {
                writeln!(out, "contents {id} file, {size} bytes, {shares} shares")
            }
        };
    }
    section(&mut out, view, &tables.queue)?;
    for (destination, at) in view.destinations(None, usize::MAX)? {
        let _ = writeln!(out, "queue_due {destination} {at}");
    }
    section(&mut out, view, &tables.queue_next)?;
    section(&mut out, view, &tables.hold_rules)?;
    section(&mut out, view, &tables.from_ids)?;
    section(&mut out, view, &tables.references)?;
    section(&mut out, view, &tables.retired)?;
    section(&mut out, view, &tables.returns)?;
    section(&mut out, view, &tables.streaks)?;
    section(&mut out, view, &tables.events)?;
    section(&mut out, view, &tables.event_heads)?;
    section(&mut out, view, &tables.hooks)?;
    for (url, at) in view.hook_urls(None, usize::MAX)? {
        let _ = writeln!(out, "hooks_due {url} {at}");
    }
    section(&mut out, view, &tables.retired_hooks)?;
    section(&mut out, view, &tables.suppressions)?;
    section(&mut out, view, &tables.mailboxes)?;
    section(&mut out, view, &tables.messages)?;
    section(&mut out, view, &tables.usage)?;
    section(&mut out, view, &tables.repeats)?;
    section(&mut out, view, &tables.repeats_expiry)?;
    section(&mut out, view, &tables.sent)?;
    section(&mut out, view, &tables.known_recipients)?;
    section(&mut out, view, &tables.sts_policies)?;
    section(&mut out, view, &tables.sts_expiry)?;
    Ok(out)
}

fn section<K, V>(out: &mut String, view: &View<'_>, table: &Table<K, V>) -> Result<(), StoreError>
where
    K: Key + Debug,
    V: Serialize + DeserializeOwned + Debug,
{
    for (key, value) in table.from(&view.txn, Bound::Unbounded, usize::MAX)? {
        let _ = writeln!(out, "{} {key:?} {value:?}", table.raw().name);
    }
    Ok(())
}

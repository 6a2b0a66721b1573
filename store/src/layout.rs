//! The layout of the data: which shapes the records have. A newer layout comes with a step from the one
//! before it; the steps run in order when the store is opened.

use crate::{StoreError, tables::Tables, txn::Counters};
use heed::{CommitOrAbort, Env, WithoutTls, types::Bytes};
use std::path::Path;

/// The layout that this version writes.
pub(crate) const CURRENT: u32 = 1;

const LAYOUT: &str = "layout";

/// Tells a database of ours, or a new one, from that of another program, and touches neither.
pub(crate) fn recognise(env: &Env<WithoutTls>, path: &Path) -> Result<(), StoreError> {
    // The names of all tables are the keys of the one without a name.
    let names = env
        .open_databases_and_commit(env.read_txn()?, |opener, txn| {
            opener.open_database::<Bytes, Bytes>(txn, None).map(CommitOrAbort::<_, ()>::Commit)
        })?
        .unwrap_commit();
    let Some(names) = names else { return Ok(()) };
    let txn = env.read_txn()?;
    if names.is_empty(&txn)? || names.get(&txn, b"meta")?.is_some() {
        return Ok(());
    }
    Err(StoreError::NotOurs(path.into()))
}

/// Brings the data to the current layout.
pub(crate) fn bring_up(env: &Env<WithoutTls>, tables: &Tables, path: &Path) -> Result<(), StoreError> {
    let mut txn = env.write_txn()?;
    let found = match tables.meta.get(&txn, LAYOUT)? {
        Some(bytes) => {
            let bytes = bytes.try_into().map_err(|_| StoreError::Damaged { table: "meta" })?;
            u32::from_be_bytes(bytes)
        }
        None => CURRENT,
    };
    if found > CURRENT {
        return Err(StoreError::Layout { path: path.into(), found, known: CURRENT });
    }
    Counters::read(&txn, tables).map_err(|error| match error {
        StoreError::Damaged { .. } => StoreError::Shape(path.into()),
        error => error,
    })?;
    tables.meta.put(&mut txn, LAYOUT, &CURRENT.to_be_bytes())?;
    Ok(txn.commit()?)
}

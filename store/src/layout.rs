//! The layout of the data: which shapes the records have. A newer layout comes with a step from the one
//! before it; the steps run in order when the store is opened.

use crate::{StoreError, tables::Tables};
use heed::{Env, WithoutTls};
use std::path::Path;

/// The layout that this version writes.
pub(crate) const CURRENT: u32 = 1;

const LAYOUT: &str = "layout";

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
    tables.meta.put(&mut txn, LAYOUT, &CURRENT.to_be_bytes())?;
    Ok(txn.commit()?)
}

//! From layout 3 to 4: the files of contents have a table of their own, so that a start need not look at all contents.

use crate::{
    StoreError,
    content::{file_name, file_of},
    tables::Tables,
};
use heed::RwTxn;

pub(super) fn step(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    let mut names = Vec::new();
    for entry in tables.contents.raw().db.iter(txn)? {
        names.extend(file_of(tables, entry?.1)?);
    }
    for name in names {
        tables.content_files.put(txn, &file_name(name), &())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{Store, StoreOptions, layout::LAYOUT, records::ContentRecord};
    use mail::ContentId;

    #[test]
    fn files_that_contents_refer_to_stay_and_others_go() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = || StoreOptions { map_size: 1 << 30, map_reserve: 0, disk_reserve: 0, inline_max: 100 };
        let path = |record: &ContentRecord| {
            let ContentRecord::File { name, .. } = record else { panic!("it is large") };
            dir.path().join("content").join(crate::content::file_name(*name))
        };
        let (wanted, orphan) = {
            let (store, _writer) = Store::open(dir.path(), options()).unwrap();
            let wanted = store.stage([1; 16], vec![b'x'; 1000].into()).unwrap();
            let orphan = store.stage([2; 16], vec![b'x'; 1000].into()).unwrap();
            let tables = &store.inner.tables;
            let mut txn = store.inner.env.write_txn().unwrap();
            tables.contents.put(&mut txn, &ContentId(1), &wanted).unwrap();
            tables.meta.put(&mut txn, LAYOUT, &3_u32.to_be_bytes()).unwrap();
            txn.commit().unwrap();
            (path(&wanted), path(&orphan))
        };
        let _store = Store::open(dir.path(), options()).unwrap();
        assert_eq!((wanted.exists(), orphan.exists()), (true, false));
    }
}

//! `[store]`: how the database is kept.

use crate::{
    size::{GIB, KIB, MIB, TIB},
    source::Section,
};

/// The unit in which the map grows.
const PAGE: u64 = 4096;

/// How the database is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The most the database may grow to, in bytes; a multiple of 4096.
    pub map_size: u64,
    /// The bytes of the map that only results may use, not new mail.
    pub reserve: u64,
    /// Free bytes on the disk below which new mail is refused.
    pub min_free_disk: u64,
    /// Changes that may wait for the writer.
    pub pending_writes_max: usize,
    /// Bytes that those changes may hold; at least `inline_content_max`.
    pub pending_bytes_max: u64,
    /// Changes in one commit; at most `pending_writes_max`.
    pub batch_max: usize,
    /// Bytes in one commit, unless a single change has more.
    pub batch_bytes_max: u64,
    /// Content of at most so many bytes lives in the database, larger content in files.
    pub inline_content_max: u64,
}

impl Store {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Store {
        let store = Store {
            map_size: section.size("map_size", 16 * MIB..=64 * TIB).next_multiple_of(PAGE),
            reserve: section.size("reserve", MIB..=64 * GIB),
            min_free_disk: section.size("min_free_disk", 0..=64 * TIB),
            pending_writes_max: section.number("pending_writes_max", 1..=1_000_000),
            pending_bytes_max: section.size("pending_bytes_max", MIB..=64 * GIB),
            batch_max: section.number("batch_max", 1..=100_000),
            batch_bytes_max: section.size("batch_bytes_max", 64 * KIB..=4 * GIB),
            inline_content_max: section.size("inline_content_max", 0..=64 * MIB),
        };
        section.check_pair("reserve", "map_size", store.reserve < store.map_size, "less than");
        section.check_pair(
            "batch_max",
            "pending_writes_max",
            store.batch_max <= store.pending_writes_max,
            "at most",
        );
        section.check_pair(
            "pending_bytes_max",
            "inline_content_max",
            store.inline_content_max <= store.pending_bytes_max,
            "at least",
        );
        store
    }
}

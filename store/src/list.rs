//! Lists of messages, a bounded slice at a time, by key: where a list goes on costs the same everywhere in it.

use crate::{
    StoreError, View,
    filter::{QueueFilter, RetiredFilter},
    records::{QueueRecord, RetiredRecord},
    txn::Counters,
};
use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};

/// Messages that are looked at in one slice. An old snapshot keeps the database from reusing its pages.
const LOOKED_AT_MAX: usize = 2000;

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SortBy {
    /// The order in which messages were queued.
    Submitted,
    /// The time of the next attempt.
    NextAttempt,
}

/// A place in a sorted list: its start, or behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a list by submission.
    Submitted(Option<QueueId>),
    /// In a list by next attempt.
    NextAttempt(Option<(Timestamp, QueueId)>),
}

/// A text that is no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not where a list sorted in this way goes on; give the key that the list before it ended with"
)]
pub struct PlaceError;

impl Place {
    /// The start of a list.
    pub fn start(sort: SortBy) -> Place {
        match sort {
            SortBy::Submitted => Place::Submitted(None),
            SortBy::NextAttempt => Place::NextAttempt(None),
        }
    }

    /// Reads what [`Place::key`] wrote in a list that is sorted the same.
    ///
    /// # Errors
    /// When it is of another list.
    pub fn parse(sort: SortBy, key: &str) -> Result<Place, PlaceError> {
        let id = |text: &str| text.parse().map(QueueId).map_err(|_| PlaceError);
        match (sort, key.split_once('.')) {
            (SortBy::Submitted, None) => Ok(Place::Submitted(Some(id(key)?))),
            (SortBy::NextAttempt, Some((millis, last))) => {
                let at = millis.parse().map(Timestamp::from_millis).map_err(|_| PlaceError)?;
                Ok(Place::NextAttempt(Some((at, id(last)?))))
            }
            (SortBy::Submitted, Some(_)) | (SortBy::NextAttempt, None) => Err(PlaceError),
        }
    }

    /// The text by which a list goes on from here; empty at its start.
    pub fn key(&self) -> String {
        match self {
            Place::Submitted(Some(id)) => id.to_string(),
            Place::NextAttempt(Some((at, id))) => format!("{}.{id}", at.as_millis()),
            Place::Submitted(None) | Place::NextAttempt(None) => String::new(),
        }
    }

    fn behind(&self, id: QueueId, message: &QueueRecord) -> Place {
        match self {
            Place::Submitted(_) => Place::Submitted(Some(id)),
            Place::NextAttempt(_) => Place::NextAttempt(Some((message.next_attempt, id))),
        }
    }
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice<R, Id = QueueId, P = Place> {
    /// What fits, in order.
    pub rows: Vec<(Id, R)>,
    /// Where to go on; `None`: nothing is left. There may be more even when there are no rows.
    pub next: Option<P>,
}

impl View<'_> {
    /// The id of the message that was queued last.
    pub fn last_queue_id(&self) -> Result<QueueId, StoreError> {
        Ok(QueueId(Counters::read(&self.txn, self.tables)?.queue))
    }

    /// Messages of the queue from `place` on, at most `limit`.
    pub fn queue_slice(
        &self,
        filter: &QueueFilter,
        place: Place,
        descending: bool,
        limit: usize,
    ) -> Result<Slice<QueueRecord>, StoreError> {
        let get = |id| self.tables.queue.get(&self.txn, &id);
        if !filter.ids.is_empty() {
            return of_ids(filter, place, descending, limit, get, |record| record, QueueFilter::matches);
        }
        let keys: Box<dyn Iterator<Item = Result<(Place, QueueId), StoreError>>> = match place {
            Place::Submitted(after) => {
                let keys = self.tables.queue.keys(&self.txn, after.as_ref(), descending)?;
                Box::new(keys.map(|id| id.map(|id| (Place::Submitted(Some(id)), id))))
            }
            Place::NextAttempt(after) => {
                let start = nearer(after, first_in_range(filter, descending), descending);
                let keys = self.tables.queue_next.keys(&self.txn, start.as_ref(), descending)?;
                let within = move |(at, _): &(Timestamp, QueueId)| match descending {
                    false => filter.next_attempt.before.is_none_or(|before| *at < before),
                    true => filter.next_attempt.after.is_none_or(|after| *at > after),
                };
                let keys = keys.take_while(move |key| key.as_ref().map_or(true, within));
                Box::new(keys.map(|key| key.map(|key| (Place::NextAttempt(Some(key)), key.1))))
            }
        };
        slice(keys, limit, get, |id, record| filter.matches(id, record))
    }

    /// Messages that left the queue, in the order in which they were queued, behind `after`, at most `limit`.
    pub fn retired_slice(
        &self,
        filter: &RetiredFilter,
        after: Option<QueueId>,
        descending: bool,
        limit: usize,
    ) -> Result<Slice<RetiredRecord>, StoreError> {
        let get = |id| self.tables.retired.get(&self.txn, &id);
        if !filter.message.ids.is_empty() {
            let place = Place::Submitted(after);
            let matches = |_: &QueueFilter, _, retired: &RetiredRecord| filter.matches(retired);
            return of_ids(
                &filter.message,
                place,
                descending,
                limit,
                get,
                |retired| &retired.message,
                matches,
            );
        }
        let keys = self.tables.retired.keys(&self.txn, after.as_ref(), descending)?;
        let keys = keys.map(|id| id.map(|id| (Place::Submitted(Some(id)), id)));
        slice(keys, limit, get, |_, retired| filter.matches(retired))
    }
}

/// The rows at `keys` that fit.
pub(crate) fn slice<R, Id: Copy, P: Copy>(
    keys: impl Iterator<Item = Result<(P, Id), StoreError>>,
    limit: usize,
    get: impl Fn(Id) -> Result<Option<R>, StoreError>,
    matches: impl Fn(Id, &R) -> bool,
) -> Result<Slice<R, Id, P>, StoreError> {
    let mut rows = Vec::new();
    let mut last = None;
    for (looked_at, key) in keys.enumerate() {
        if rows.len() >= limit || looked_at >= LOOKED_AT_MAX {
            return Ok(Slice { rows, next: last });
        }
        let (place, id) = key?;
        last = Some(place);
        if let Some(record) = get(id)?
            && matches(id, &record)
        {
            rows.push((id, record));
        }
    }
    Ok(Slice { rows, next: None })
}

/// The rows with the ids of a filter that fit.
fn of_ids<R>(
    filter: &QueueFilter,
    place: Place,
    descending: bool,
    limit: usize,
    get: impl Fn(QueueId) -> Result<Option<R>, StoreError>,
    message: impl Fn(&R) -> &QueueRecord,
    matches: impl Fn(&QueueFilter, QueueId, &R) -> bool,
) -> Result<Slice<R>, StoreError> {
    let mut found = Vec::new();
    let mut ids = filter.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    for id in ids.into_iter().take(QueueFilter::IDS_MAX) {
        if let Some(record) = get(id)?
            && matches(filter, id, &record)
        {
            found.push((place.behind(id, message(&record)), id, record));
        }
    }
    found.sort_by_key(|(place, ..)| sort_key(*place));
    if descending {
        found.reverse();
    }
    found.retain(|(its, ..)| match sort_key(place) {
        None => true,
        after if descending => sort_key(*its) < after,
        after => sort_key(*its) > after,
    });
    let next = (found.len() > limit).then(|| found[..limit].last().map_or(place, |(place, ..)| *place));
    found.truncate(limit);
    Ok(Slice { rows: found.into_iter().map(|(_, id, record)| (id, record)).collect(), next })
}

fn sort_key(place: Place) -> Option<(Timestamp, QueueId)> {
    match place {
        Place::Submitted(id) => id.map(|id| (Timestamp::default(), id)),
        Place::NextAttempt(key) => key,
    }
}

/// The key before the first that the filter's times allow.
fn first_in_range(filter: &QueueFilter, descending: bool) -> Option<(Timestamp, QueueId)> {
    match descending {
        false => filter.next_attempt.after.map(|after| (after, QueueId(u64::MAX))),
        true => filter.next_attempt.before.map(|before| (before, QueueId(0))),
    }
}

/// Of two starts the one that leaves out more.
fn nearer<T: Ord>(one: Option<T>, other: Option<T>, descending: bool) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if descending { one.min(other) } else { one.max(other) }),
        (one, other) => one.or(other),
    }
}

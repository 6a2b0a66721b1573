//! Names by the time of their next work: destinations, and URLs.

use mail::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Names by time; each stands in it once.
#[derive(Default)]
pub(crate) struct Schedule {
    times: HashMap<String, Timestamp>,
    order: BTreeMap<Timestamp, BTreeSet<String>>,
}

impl Schedule {
    /// Puts a name at a time, and nowhere else.
    pub(crate) fn insert(&mut self, name: String, at: Timestamp) {
        self.remove(&name);
        self.order.entry(at).or_default().insert(name.clone());
        self.times.insert(name, at);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(at) = self.times.remove(name)
            && let Some(names) = self.order.get_mut(&at)
        {
            names.remove(name);
            if names.is_empty() {
                self.order.remove(&at);
            }
        }
    }

    /// The earliest time.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.order.first_key_value().map(|(at, _)| *at)
    }

    /// Takes out the names whose time has come.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<String> {
        let mut due = Vec::new();
        while let Some(entry) = self.order.first_entry()
            && *entry.key() <= now
        {
            due.extend(entry.remove());
        }
        for name in &due {
            self.times.remove(name);
        }
        due
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_at_its_latest_time_only() {
        let at = Timestamp::from_millis;
        let mut schedule = Schedule::default();
        for (name, time) in [("a", 5), ("b", 2), ("c", 2), ("a", 3), ("d", 9), ("c", 7), ("b", 2)] {
            schedule.insert(name.into(), at(time));
        }
        schedule.remove("d");
        assert_eq!((schedule.first(), schedule.len()), (Some(at(2)), 3));
        assert_eq!(schedule.take_due(at(1)), [""; 0]);
        assert_eq!(schedule.take_due(at(3)), ["b", "a"]);
        assert_eq!((schedule.first(), schedule.len()), (Some(at(7)), 1));
        assert_eq!(schedule.take_due(at(7)), ["c"]);
        assert_eq!((schedule.first(), schedule.len()), (None, 0));
    }
}

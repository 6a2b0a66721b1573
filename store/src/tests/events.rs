//! The event log, read in slices.

use super::*;

/// Three events: queued, attempted, delivered.
fn delivered_one(f: &mut Fixture) {
    let id = f.accept(&["friend@remote.example"]);
    f.settle(id, Some(delivered()), Decision::Delivered);
}

fn slice(f: &Fixture, after: u64, kinds: &[EventKind], limit: usize, looks: usize) -> (Vec<u64>, u64, bool) {
    let wanted = |kind| kinds.is_empty() || kinds.contains(&kind);
    let slice =
        f.store.read(|view| view.event_slice(ACCOUNT, EventSeq(after), wanted, limit, looks)).unwrap();
    (slice.events.into_iter().map(|(seq, _)| seq.0).collect(), slice.last.0, slice.more)
}

#[test]
fn a_slice_says_how_far_it_looked() {
    let mut f = Fixture::new();
    assert_eq!(slice(&f, 0, &[], 10, 100), (vec![], 0, false));
    for _ in 0..100 {
        delivered_one(&mut f);
    }
    let all: Vec<u64> = (1..=300).collect();
    for (after, kinds, limit, looks, expected) in [
        (0, &[][..], 1000, 1000, (all.clone(), 300, false)),
        (0, &[], 3, 1000, (vec![1, 2, 3], 3, true)),
        (250, &[], 50, 1000, (all[250..].to_vec(), 300, false)),
        (299, &[], 10, 1000, (vec![300], 300, false)),
        (300, &[], 10, 1000, (vec![], 300, false)),
        (u64::MAX, &[], 10, 1000, (vec![], 300, false)),
        (0, &[EventKind::Delivered], 2, 1000, (vec![3, 6], 6, true)),
        (0, &[EventKind::Delivered, EventKind::Queued], 3, 1000, (vec![1, 3, 4], 4, true)),
        (297, &[EventKind::Delivered], 2, 1000, (vec![300], 300, false)),
        (0, &[EventKind::Failed], 2, 1000, (vec![], 300, false)),
        (0, &[EventKind::Failed], 2, 150, (vec![], 200, true)),
    ] {
        assert_eq!(slice(&f, after, kinds, limit, looks), expected, "{after} {kinds:?} {limit} {looks}");
    }
}

#[test]
fn a_log_that_retention_emptied_goes_on_where_it_was() {
    let mut f = Fixture::new();
    delivered_one(&mut f);
    delivered_one(&mut f);
    let late = NOW.after(Duration::from_secs(1));
    f.apply(Change::Sweep(Sweep { now: NOW, events_before: late, limit: 100 }));
    assert_eq!(slice(&f, 0, &[], 10, 100), (vec![], 6, false));
    delivered_one(&mut f);
    assert_eq!(slice(&f, 0, &[], 10, 100), (vec![7, 8, 9], 9, false));
}

#[test]
fn a_commit_says_whose_logs_grew() {
    let mut f = Fixture::new();
    let id = f.accept(&["friend@remote.example"]);
    let touched = f.settle(id, Some(delivered()), Decision::Delivered);
    assert_eq!(touched.event_logs.into_iter().collect::<Vec<_>>(), [ACCOUNT]);
    let touched = f.settle(id, None, Decision::Move { destination: "elsewhere".into() });
    assert_eq!(touched, Touched::default(), "the message is gone");
}

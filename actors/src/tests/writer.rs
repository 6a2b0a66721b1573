use super::fixture::*;
use crate::WriteError;
use mail::QueueId;

#[test]
fn a_thousand_concurrent_accepts_share_few_commits_and_each_answer_comes_after_its_own() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let sends = (0..1000).map(|_| async {
            let id =
                f.handles.writer.accept(f.submission(&["friend@remote.example"])).await.unwrap().ids.start;
            // A snapshot taken now has only what is committed, and a message leaves the queue into history.
            let (queued, retired) = f
                .handles
                .store
                .read(|view| {
                    Ok((view.message(QueueId(id))?.is_some(), view.retired_message(QueueId(id))?.is_some()))
                })
                .unwrap();
            assert!(queued || retired, "{id} was answered before its commit");
            id
        });
        let mut ids = futures_util::future::join_all(sends).await;
        let commits = f.metrics.commit_seconds.get_sample_count();
        assert!(commits <= 100, "{commits} commits for a thousand messages");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1000);
    });
}

#[test]
fn too_many_waiting_are_refused_and_nothing_of_them_is_kept() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let sends = (0..2500).map(|_| f.handles.writer.accept(f.submission(&["friend@remote.example"])));
        let results = futures_util::future::join_all(sends).await;
        let accepted = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(accepted, 2000);
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(WriteError::Busy))));
        let totals = f.handles.store.read(|view| view.totals()).unwrap();
        assert_eq!(totals.queued + totals.retired, 2000);
        assert!(f.handles.writer.accept(f.submission(&["friend@remote.example"])).await.is_ok());
    });
}

#[test]
fn a_caller_that_goes_away_takes_nothing_back() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        {
            let mut accept = Box::pin(f.handles.writer.accept(f.submission(&["friend@remote.example"])));
            assert!(futures_util::poll!(accept.as_mut()).is_pending());
        }
        f.retired(1).await;
    });
}

#[test]
fn a_large_content_of_a_refused_message_does_not_stay_on_disk() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let large = bytes::Bytes::from(vec![b'x'; 1 << 20]);
        let mut submission = f.submission(&["friend@remote.example"]);
        submission.account = mail::AccountId(99);
        submission.content = f.handles.store.stage([1; 16], large).unwrap();
        let files = || std::fs::read_dir(f.handles.store.path().join("content")).unwrap().count();
        assert_eq!(files(), 1);
        assert!(matches!(f.handles.writer.accept(submission).await, Err(WriteError::Refused(_))));
        assert_eq!(files(), 0);
    });
}

#[test]
fn the_death_of_the_writer_is_told_and_nobody_waits_for_it() {
    run(async {
        let f = Fixture::new(Peer::default(), Receiver::default());
        let accept = f.handles.writer.accept(f.submission(&["friend@remote.example"]));
        f.handles.writer.break_down();
        assert!(matches!(accept.await, Err(WriteError::Stopped)));
        f.handles.writer.died().await;
    });
}

#[test]
fn what_was_sent_is_not_sent_again_when_its_outcome_can_no_longer_be_recorded() {
    run(async {
        let peer = Peer::default();
        let f = Fixture::new(peer.clone(), Receiver::default());
        let mut submission = f.submission(&["friend@remote.example"]);
        submission.future_release = Some(f.clock.now().after(std::time::Duration::from_secs(1)));
        f.handles.writer.accept(submission).await.unwrap();
        f.handles.writer.break_down();
        f.wait(std::time::Duration::from_secs(600)).await;
        assert_eq!(peer.received().len(), 1);
    });
}

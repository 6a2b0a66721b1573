//! Hold rules.

use super::*;
use mail::HoldRuleId;

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn rule(account: Option<u32>, sender: Option<&str>, recipient: Option<&str>) -> HoldRuleRecord {
    HoldRuleRecord {
        account: account.map(AccountId),
        sender_domain: sender.map(domain),
        recipient_domain: recipient.map(domain),
        created: NOW,
    }
}

impl Fixture {
    fn add_rule(&mut self, rule: HoldRuleRecord) -> HoldRuleId {
        match self.apply(Change::AddHoldRule(rule)) {
            Applied::HoldRuleAdded(id) => id,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_rule_holds_what_fits_all_that_it_names() {
    for (rule, holds) in [
        (rule(None, None, None), true),
        (rule(Some(1), None, None), true),
        (rule(Some(2), None, None), false),
        (rule(None, Some("example.com"), None), true),
        (rule(None, Some("other.example"), None), false),
        (rule(None, None, Some("remote.example")), true),
        (rule(None, None, Some("example.com")), false),
        (rule(Some(1), Some("example.com"), Some("remote.example")), true),
        (rule(Some(1), Some("example.com"), Some("other.example")), false),
        (rule(Some(2), Some("example.com"), Some("remote.example")), false),
    ] {
        let mut f = Fixture::new();
        let before = f.accept(&["friend@remote.example"]);
        let id = f.add_rule(rule.clone());
        let after = f.accept(&["friend@remote.example"]);
        let expected = holds.then_some(Hold::Rule(id));
        assert_eq!((f.queued(before).hold, f.queued(after).hold), (None, expected), "{rule:?}");

        let unheld =
            f.store.read(|view| view.queue_slice(&rule.unheld(), Place::start(SortBy::Submitted), false, 10));
        let ids: Vec<_> = unheld.unwrap().rows.into_iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids, if holds { vec![before] } else { vec![] }, "{rule:?}");
        f.operate(&ids, QueueAction::Hold(Hold::Rule(id)));
        assert_eq!(f.queued(before).hold, expected, "{rule:?}");
    }
}

#[test]
fn a_rule_that_is_removed_releases_nothing_and_holds_nothing_more() {
    let mut f = Fixture::new();
    let rule_id = f.add_rule(rule(None, None, None));
    let held = f.accept(&["friend@remote.example"]);
    assert_eq!(f.apply(Change::RemoveHoldRule(rule_id)), Applied::HoldRuleRemoved);
    assert_eq!(f.try_apply(Change::RemoveHoldRule(rule_id)), Err(Refusal::NotFound));
    let free = f.accept(&["friend@remote.example"]);
    assert_eq!((f.queued(held).hold, f.queued(free).hold), (Some(Hold::Rule(rule_id)), None));
    assert_eq!(f.operate(&[free], QueueAction::Hold(Hold::Rule(rule_id))), 0, "it was removed meanwhile");
    assert_ne!(f.add_rule(rule(None, None, None)), rule_id, "ids are used once");
}

#[test]
fn a_rule_that_says_the_same_is_the_same_and_the_first_that_fits_counts() {
    let mut f = Fixture::new();
    let first = f.add_rule(rule(None, None, Some("remote.example")));
    let later = HoldRuleRecord { created: NOW.after(KEEP), ..rule(None, None, Some("remote.example")) };
    assert_eq!(f.add_rule(later), first);
    f.add_rule(rule(None, None, None));
    let id = f.accept(&["friend@remote.example"]);
    assert_eq!(f.queued(id).hold, Some(Hold::Rule(first)));
    assert_eq!(f.store.read(|view| view.hold_rules()).unwrap().len(), 2);
}

#[test]
fn there_are_only_so_many_rules() {
    let mut f = Fixture::new();
    for number in 0..1000 {
        f.add_rule(rule(Some(number), None, None));
    }
    let refused = f.try_apply(Change::AddHoldRule(rule(None, None, None)));
    assert_eq!(refused, Err(Refusal::TooManyHoldRules));
}

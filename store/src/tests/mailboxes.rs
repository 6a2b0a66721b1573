//! What is done to messages in mailboxes.

use super::*;
use mail::{Flag, MsgId};

impl Fixture {
    fn arrived(&mut self) -> MsgId {
        match self.apply(Change::Arrive(arrival(None))) {
            Applied::Arrived(arrived) => arrived[0].msg.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn act(&mut self, id: MsgId, action: MessageAction) -> Result<Applied, Refusal> {
        self.try_apply(Change::ChangeMessage { account: ACCOUNT, id, action })
    }

    fn message(&self, id: MsgId) -> Option<MessageRecord> {
        self.store.read(|view| view.mailbox_message(id)).unwrap()
    }

    fn mailbox_of(&self, id: MsgId) -> String {
        let mailbox = self.message(id).unwrap().mailbox;
        let messages = self.store.read(|view| view.mailbox_messages(mailbox, None, 10)).unwrap();
        assert!(messages.contains(&id));
        self.store.read(|view| view.mailbox(ACCOUNT, mailbox)).unwrap().unwrap().name
    }
}

fn flags(texts: &[&str]) -> Vec<Flag> {
    texts.iter().map(|text| Flag::parse(text).unwrap()).collect()
}

#[test]
fn flags_are_set_and_taken_off_once_each_in_whatever_case() {
    let mut f = Fixture::new();
    let id = f.arrived();
    let rows = [
        (MessageAction::AddFlags(flags(&["\\Seen", "b", "a", "B"])), vec!["\\seen", "a", "b"]),
        (MessageAction::AddFlags(flags(&["\\SEEN"])), vec!["\\seen", "a", "b"]),
        (MessageAction::RemoveFlags(flags(&["A", "c"])), vec!["\\seen", "b"]),
        (MessageAction::AddFlags(Vec::new()), vec!["\\seen", "b"]),
        (MessageAction::RemoveFlags(flags(&["\\seen", "b"])), vec![]),
    ];
    for (action, expected) in rows {
        assert_eq!(f.act(id, action.clone()), Ok(Applied::MessageChanged));
        assert_eq!(f.message(id).unwrap().flags, flags(&expected), "{action:?}");
    }
}

#[test]
fn a_message_has_at_most_a_hundred_custom_keywords() {
    let mut f = Fixture::new();
    let id = f.arrived();
    let many: Vec<_> = (0..100).map(|number| Flag::parse(&format!("k{number}")).unwrap()).collect();
    f.act(id, MessageAction::AddFlags(many.clone())).unwrap();
    f.act(id, MessageAction::AddFlags(flags(&["\\seen", "$junk", "k1"]))).unwrap();
    assert_eq!(f.act(id, MessageAction::AddFlags(flags(&["one-more"]))), Err(Refusal::TooManyFlags));
    f.act(id, MessageAction::RemoveFlags(flags(&["k7"]))).unwrap();
    f.act(id, MessageAction::AddFlags(flags(&["one-more"]))).unwrap();
}

#[test]
fn a_message_moves_to_another_mailbox_of_its_account() {
    let mut f = Fixture::new();
    let id = f.arrived();
    assert_eq!(f.mailbox_of(id), "Inbox");
    let to = |name: &str| MessageAction::Move(name.into());
    for (name, expected) in [
        ("Archive", Ok(Applied::MessageChanged)),
        ("Archive", Err(Refusal::SameMailbox)),
        ("archive", Err(Refusal::NoMailbox)),
        ("Nowhere", Err(Refusal::NoMailbox)),
        ("", Err(Refusal::NoMailbox)),
        ("INBOX", Ok(Applied::MessageChanged)),
        ("inbox", Err(Refusal::SameMailbox)),
    ] {
        assert_eq!(f.act(id, to(name)), expected, "{name}");
    }
    assert_eq!(f.mailbox_of(id), "Inbox");
}

#[test]
fn a_deleted_message_takes_its_content_along_unless_others_share_it() {
    let mut f = Fixture::new();
    let id = f.arrived();
    let content = f.message(id).unwrap().content;
    let has_content = |f: &Fixture| f.store.read(|view| view.content(content)).unwrap().is_some();
    assert_eq!(f.act(id, MessageAction::Delete), Ok(Applied::MessageChanged));
    assert_eq!(f.message(id), None);
    assert_eq!(f.store.read(|view| view.mailbox_messages(mail::MailboxId(1), None, 10)).unwrap(), []);
    assert!(has_content(&f), "the incoming webhook still tells of it");
    for action in [MessageAction::Delete, MessageAction::AddFlags(Vec::new())] {
        assert_eq!(f.act(id, action), Err(Refusal::NotFound));
    }

    let mut f = Fixture::with(options(), AccountRecord { incoming_webhook: None, ..account() });
    let id = f.arrived();
    f.act(id, MessageAction::Delete).unwrap();
    assert!(!has_content(&f));
}

#[test]
fn nobody_changes_the_messages_of_others() {
    let mut f = Fixture::new();
    let id = f.arrived();
    f.apply(Change::PutAccount(AccountRecord { name: "other".into(), ..account() }));
    for action in [
        MessageAction::Delete,
        MessageAction::AddFlags(flags(&["\\seen"])),
        MessageAction::RemoveFlags(flags(&["\\seen"])),
        MessageAction::Move("Trash".into()),
    ] {
        let change = Change::ChangeMessage { account: AccountId(2), id, action };
        assert_eq!(f.try_apply(change), Err(Refusal::NotFound));
    }
    assert_eq!(f.mailbox_of(id), "Inbox");
}

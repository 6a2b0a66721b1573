//! Mailboxes and the messages in them.

use crate::{
    Refusal, StoreError,
    change::{Applied, Arrival, ArrivalRecipient, Arrived, MessageAction, Submission},
    keys::Key,
    records::{
        ContentRecord, IncomingHook, MailboxRecord, MessageRecord, STANDARD_MAILBOXES, StandardMailbox,
    },
    returned::{Matched, Told},
    txn::{Outcome, Txn},
};
use mail::{AccountId, ContentId, Flag, MailboxId, MsgId, ReversePath};
use std::collections::HashSet;

/// Where an arrival goes for one recipient.
struct Place {
    /// None for a report that is told by its event alone.
    inbox: Option<MailboxId>,
    /// It makes an incoming webhook.
    hook: bool,
    /// The message that it is about.
    about: Option<Matched>,
}

impl Place {
    /// How many records share the content.
    fn shares(&self) -> usize {
        usize::from(self.inbox.is_some()) + usize::from(self.hook)
    }
}

impl Txn<'_> {
    pub(crate) fn arrive(&mut self, arrival: &Arrival) -> Outcome<Applied> {
        let told = arrival.feedback.as_ref().map(Told::new);
        let mut places = Vec::with_capacity(arrival.recipients.len());
        for recipient in &arrival.recipients {
            match self.place(arrival, told.as_ref(), recipient)? {
                Ok(place) => places.push((recipient, place)),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let shares = places.iter().map(|(_, place)| place.shares()).sum();
        let content = match shares {
            0 => {
                self.drop_unused(&arrival.content);
                None
            }
            shares => Some(self.put_content(&arrival.content, shares)?),
        };
        let mut arrived = Vec::with_capacity(places.len());
        let mut heard = HashSet::new();
        for (recipient, place) in places {
            let msg = match (place.inbox, content) {
                (Some(mailbox), Some(content)) => {
                    let record = message_record(arrival, recipient, mailbox, content);
                    Some(self.put_in_inbox(recipient, record, place.hook)?)
                }
                _ => None,
            };
            // To however many addresses it came, a message hears it once.
            let about = place.about.filter(|matched| heard.insert(matched.id()));
            let returned = about.as_ref().map(Matched::kind);
            let suppressing = match about {
                Some(matched) => self.note_return(matched, arrival.now)?,
                None => false,
            };
            arrived.push(Arrived { msg, returned, suppressing });
        }
        Ok(Ok(Applied::Arrived(arrived)))
    }

    fn put_in_inbox(
        &mut self,
        recipient: &ArrivalRecipient,
        record: MessageRecord,
        hook: bool,
    ) -> Result<MsgId, StoreError> {
        let msg = self.store_message(&record)?;
        if hook {
            let (content, now) = (record.content, record.received);
            let hook = IncomingHook {
                msg,
                content,
                arrival: record,
                mailbox_name: StandardMailbox::Inbox.name().into(),
                rcpt_to: recipient.rcpt_to.clone(),
            };
            self.make_incoming_hook(recipient.account, hook, now)?;
        }
        Ok(msg)
    }

    /// Where it goes and what it is about, before anything is written.
    fn place(
        &mut self,
        arrival: &Arrival,
        told: Option<&Told<'_>>,
        recipient: &ArrivalRecipient,
    ) -> Outcome<Place> {
        let Some(account) = self.account(recipient.account)? else { return Ok(Err(Refusal::NotFound)) };
        let Some(mailbox) = self.standard_mailbox(recipient.account, StandardMailbox::Inbox)? else {
            return Ok(Err(Refusal::NotFound));
        };
        let about = self.match_sent(arrival, told, recipient)?;
        let is_report = about.as_ref().is_some_and(Matched::is_report);
        let fits = self.fits_quota(recipient.account, 1)?;
        // Where one is full, the client tries again, and then hears it of that recipient alone.
        if !fits && !is_report {
            return Ok(Err(Refusal::OverQuota));
        }
        let wanted = !is_report || (fits && account.dsn_to_inbox);
        let hook = about.is_none() && account.incoming_webhook.is_some();
        Ok(Ok(Place { inbox: wanted.then_some(mailbox), hook, about }))
    }

    /// Stores the copy of a sent message, marked as read. False when it does not fit in the account's mailboxes.
    pub(crate) fn store_sent_copy(
        &mut self,
        submission: &Submission,
        copy: &ContentRecord,
    ) -> Result<bool, StoreError> {
        let account = submission.account;
        let Some(mailbox) = self.standard_mailbox(account, StandardMailbox::Sent)? else { return Ok(true) };
        let size = copy.size();
        if !self.fits_quota(account, size)? {
            return Ok(false);
        }
        let content = self.put_content(copy, 1)?;
        self.store_message(&MessageRecord {
            account,
            mailbox,
            content,
            size,
            received: submission.now,
            flags: vec![Flag::seen()],
            mail_from: ReversePath::Null,
            mail_from_validated: false,
            rcpt_to: None,
            msg_from: Some(submission.msg_from.clone()),
            msg_from_validated: false,
            dkim_verified_domains: Vec::new(),
            remote_ip: None,
            dsn: false,
            automated: false,
        })?;
        Ok(true)
    }

    pub(crate) fn change_message(
        &mut self,
        account: AccountId,
        id: MsgId,
        action: &MessageAction,
    ) -> Outcome<Applied> {
        let found = self.tables.messages.get(&self.rw, &id)?;
        let Some(mut record) = found.filter(|record| record.account == account) else {
            return Ok(Err(Refusal::NotFound));
        };
        match action {
            MessageAction::Delete => {
                self.remove_message(id, &record)?;
                return Ok(Ok(Applied::MessageChanged));
            }
            MessageAction::AddFlags(flags) => {
                record.flags.extend_from_slice(flags);
                record.flags.sort_unstable();
                record.flags.dedup();
                if record.flags.iter().filter(|flag| flag.is_custom()).count() > Flag::CUSTOM_MAX {
                    return Ok(Err(Refusal::TooManyFlags));
                }
            }
            MessageAction::RemoveFlags(flags) => record.flags.retain(|flag| !flags.contains(flag)),
            MessageAction::Move(name) => {
                let Some(mailbox) = self.mailbox_named(account, name)? else {
                    return Ok(Err(Refusal::NoMailbox));
                };
                if mailbox == record.mailbox {
                    return Ok(Err(Refusal::SameMailbox));
                }
                self.tables.mailbox_messages.delete(&mut self.rw, &(record.mailbox, id))?;
                self.tables.mailbox_messages.put(&mut self.rw, &(mailbox, id), &())?;
                record.mailbox = mailbox;
            }
        }
        self.tables.messages.put(&mut self.rw, &id, &record)?;
        Ok(Ok(Applied::MessageChanged))
    }

    pub(crate) fn remove_message(&mut self, id: MsgId, record: &MessageRecord) -> Result<(), StoreError> {
        self.tables.messages.delete(&mut self.rw, &id)?;
        self.tables.mailbox_messages.delete(&mut self.rw, &(record.mailbox, id))?;
        self.count_removed(record.account, record.size)?;
        self.release_content(record.content)
    }

    pub(crate) fn store_message(&mut self, record: &MessageRecord) -> Result<MsgId, StoreError> {
        self.counters.msg += 1;
        let id = MsgId(self.counters.msg);
        self.tables.messages.put(&mut self.rw, &id, record)?;
        self.tables.mailbox_messages.put(&mut self.rw, &(record.mailbox, id), &())?;
        self.count_stored(record.account, record.size)?;
        Ok(id)
    }

    pub(crate) fn make_standard_mailboxes(&mut self, account: AccountId) -> Result<(), StoreError> {
        for mailbox in STANDARD_MAILBOXES {
            self.counters.mailbox += 1;
            let key = (account, MailboxId(self.counters.mailbox));
            self.tables.mailboxes.put(&mut self.rw, &key, &MailboxRecord { name: mailbox.name().into() })?;
        }
        Ok(())
    }

    pub(crate) fn standard_mailbox(
        &self,
        account: AccountId,
        which: StandardMailbox,
    ) -> Result<Option<MailboxId>, StoreError> {
        self.mailbox_named(account, which.name())
    }

    /// The name of the Inbox is the same in whatever case (RFC 9051, 5.1).
    fn mailbox_named(&self, account: AccountId, name: &str) -> Result<Option<MailboxId>, StoreError> {
        let inbox = StandardMailbox::Inbox.name();
        let name = if name.eq_ignore_ascii_case(inbox) { inbox } else { name };
        let mailboxes = self.tables.mailboxes.within(&self.rw, &account.encode(), None, usize::MAX)?;
        Ok(mailboxes.into_iter().find(|(_, mailbox)| mailbox.name == name).map(|((_, id), _)| id))
    }
}

fn message_record(
    arrival: &Arrival,
    recipient: &ArrivalRecipient,
    mailbox: MailboxId,
    content: ContentId,
) -> MessageRecord {
    MessageRecord {
        account: recipient.account,
        mailbox,
        content,
        size: arrival.size,
        received: arrival.now,
        flags: Vec::new(),
        mail_from: arrival.mail_from.clone(),
        mail_from_validated: arrival.mail_from_validated,
        rcpt_to: Some(recipient.rcpt_to.clone()),
        msg_from: arrival.msg_from.clone(),
        msg_from_validated: arrival.msg_from_validated,
        dkim_verified_domains: arrival.dkim_verified_domains.clone(),
        remote_ip: arrival.remote_ip,
        dsn: arrival.dsn,
        automated: arrival.automated,
    }
}

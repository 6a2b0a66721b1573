//! Mailboxes and the messages in them.

use crate::{
    Refusal, StoreError,
    change::{Applied, Arrival, ArrivalRecipient, Submission},
    keys::Key,
    records::{
        ContentRecord, IncomingHook, MailboxRecord, MessageRecord, STANDARD_MAILBOXES, StandardMailbox,
    },
    txn::{Outcome, Txn},
};
use mail::{AccountId, ContentId, MailboxId, MsgId, ReversePath};

impl Txn<'_> {
    pub(crate) fn arrive(&mut self, arrival: &Arrival) -> Outcome<Applied> {
        let mut places = Vec::with_capacity(arrival.recipients.len());
        for recipient in &arrival.recipients {
            let Some(mailbox) = self.standard_mailbox(recipient.account, StandardMailbox::Inbox)? else {
                return Ok(Err(Refusal::NotFound));
            };
            places.push((recipient, mailbox, self.wants_hook(recipient)?));
        }
        let shares = places.iter().map(|(_, _, hook)| 1 + usize::from(*hook)).sum();
        let content = self.put_content(&arrival.content, shares)?;
        let mut msgs = Vec::with_capacity(places.len());
        for (recipient, mailbox, hook) in places {
            let record = message_record(arrival, recipient, mailbox, content);
            let msg = self.store_message(&record)?;
            if hook {
                let hook = IncomingHook {
                    msg,
                    content,
                    arrival: record,
                    mailbox_name: StandardMailbox::Inbox.name().into(),
                    rcpt_to: recipient.rcpt_to.clone(),
                };
                self.make_incoming_hook(recipient.account, hook, arrival.now)?;
            }
            msgs.push(msg);
        }
        Ok(Ok(Applied::Arrived(msgs)))
    }

    /// Mail to the FromID of a message that was sent is an answer to it, and makes no incoming webhook.
    fn wants_hook(&mut self, recipient: &ArrivalRecipient) -> Result<bool, StoreError> {
        if let Some(from_id) = &recipient.from_id
            && self.tables.from_ids.contains(&self.rw, &(recipient.account, from_id.key().into()))?
        {
            return Ok(false);
        }
        Ok(self.account(recipient.account)?.is_some_and(|account| account.incoming_webhook.is_some()))
    }

    /// Stores the copy of a sent message, marked as read.
    pub(crate) fn store_sent_copy(
        &mut self,
        submission: &Submission,
        copy: &ContentRecord,
        mailbox: StandardMailbox,
    ) -> Result<(), StoreError> {
        let Some(mailbox) = self.standard_mailbox(submission.account, mailbox)? else { return Ok(()) };
        let size = match copy {
            ContentRecord::Inline(bytes) => bytes.len() as u64,
            ContentRecord::File { size, .. } => *size,
        };
        let content = self.put_content(copy, 1)?;
        self.store_message(&MessageRecord {
            account: submission.account,
            mailbox,
            content,
            size,
            received: submission.now,
            flags: vec!["\\seen".into()],
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
        Ok(())
    }

    fn store_message(&mut self, record: &MessageRecord) -> Result<MsgId, StoreError> {
        self.counters.msg += 1;
        let id = MsgId(self.counters.msg);
        self.tables.messages.put(&mut self.rw, &id, record)?;
        self.tables.mailbox_messages.put(&mut self.rw, &(record.mailbox, id), &())?;
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

    fn standard_mailbox(
        &self,
        account: AccountId,
        which: StandardMailbox,
    ) -> Result<Option<MailboxId>, StoreError> {
        let mailboxes = self.tables.mailboxes.within(&self.rw, &account.encode(), None, usize::MAX)?;
        Ok(mailboxes.into_iter().find(|(_, mailbox)| mailbox.name == which.name()).map(|((_, id), _)| id))
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

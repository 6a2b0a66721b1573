//! DSNs of our own, in the Inbox of the account whose message they are about.

use crate::{
    StoreError,
    change::Report,
    records::{ContentRecord, MessageRecord, QueueRecord, StandardMailbox},
    txn::Txn,
};
use mail::{ReversePath, Timestamp};

impl Txn<'_> {
    /// Stores a report about a queued message, unless its return path is empty (RFC 3464, 2) or the account's
    /// mailboxes are full. No webhook is made of it: the one about the message has the same news.
    pub(crate) fn store_report(
        &mut self,
        report: &Report,
        about: &QueueRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let account = about.account;
        let mailbox = self.standard_mailbox(account, StandardMailbox::Inbox)?;
        let (Some(mailbox), ReversePath::Address(rcpt_to)) = (mailbox, &about.mail_from) else {
            self.drop_unused(&report.content);
            return Ok(());
        };
        if !self.fits_quota(account, report.size)? {
            self.drop_unused(&report.content);
            return Ok(());
        }
        let content = self.put_content(&report.content, 1)?;
        self.store_message(&MessageRecord {
            account,
            mailbox,
            content,
            size: report.size,
            received: now,
            flags: Vec::new(),
            mail_from: ReversePath::Null,
            mail_from_validated: false,
            rcpt_to: Some(rcpt_to.clone()),
            msg_from: Some(report.msg_from.clone()),
            msg_from_validated: false,
            dkim_verified_domains: Vec::new(),
            remote_ip: None,
            dsn: true,
            automated: true,
        })?;
        Ok(())
    }

    /// Removes the file of a staged content that nothing will refer to, once this is committed.
    pub(crate) fn drop_unused(&mut self, content: &ContentRecord) {
        if let ContentRecord::File { name, .. } = content {
            self.dropped_files.push(*name);
        }
    }
}

//! The envelope of a message that is being submitted, every part of it checked as it comes.

use super::Refused;
use crate::{
    app::{App, Mode},
    sending::{FUTURE_RELEASE_MAX, NotSender, Sender, new_recipient},
    smtp_in::simulated::{self, Simulated},
};
use mail::{
    AccountId, Address, AddressError, DsnNotify, DsnReturn, FromId, Localpart, ReversePath, Timestamp,
};
use smtp::{Hold, MailCommand, Notify, RcptCommand, Ret};
use std::{collections::HashSet, sync::Arc, time::Duration};
use store::{Directory, DirectoryAccount, NewRecipient};

/// Up to so many recipients, a limit of the account is told at the one that exceeds it: each time, all of them are looked
/// up. With more it is told at the end of the message, and always to accounts that have a message queued once.
const LIMITS_CHECKED_MAX: usize = 100;

/// Who sends a message, how, and to whom.
pub(crate) struct Envelope {
    pub(super) account: AccountId,
    sender: Sender,
    from_ids: FromIds,
    pub(super) smtputf8: bool,
    pub(super) require_tls: bool,
    pub(super) future_release: Option<Timestamp>,
    pub(super) envid: Option<String>,
    pub(super) ret: Option<DsnReturn>,
    recipients: Vec<Recipient>,
    /// Their addresses.
    named: HashSet<Address>,
    /// What the first recipient that asks for it wants to see at the end of the message.
    simulated: Option<Simulated>,
}

/// What the return paths carry.
enum FromIds {
    Nothing,
    /// What each recipient is given.
    Fresh,
    /// What MAIL FROM brings, for the only recipient.
    Brought(FromId),
}

struct Recipient {
    address: Address,
    notify: Option<DsnNotify>,
    original: Option<String>,
}

impl Envelope {
    /// Takes MAIL of an account. `wants_from_ids` says whether messages of its login get FromIDs.
    pub(crate) fn begin(
        app: &App,
        account: AccountId,
        wants_from_ids: bool,
        mail: &MailCommand,
    ) -> Result<Envelope, Refused> {
        let handles = &app.handles;
        let (now, directory) = (handles.clock.now(), handles.store.directory());
        let ReversePath::Address(address) = ReversePath::parse(&mail.from).map_err(Refused::BadSender)?
        else {
            return Err(Refused::NullPath);
        };
        if app.mode == Mode::Local
            && let Some(failure) = simulated::at_mail(&address, separator(&directory, &address))
        {
            return Err(Refused::Simulated(failure));
        }
        enabled(&directory, account)?;
        let sender = sender("MAIL FROM", address, account, &directory)?;
        let from_ids = match sender.carried_from_id() {
            _ if !wants_from_ids => FromIds::Nothing,
            None => FromIds::Fresh,
            Some(id) => FromIds::Brought(id),
        };
        if let FromIds::Fresh = from_ids {
            // Each is as long.
            sender.return_path(&FromId::new(now, [0; 12])).map_err(|_| Refused::LongSender)?;
        }
        if handles.writer.room() == 0 {
            return Err(Refused::Busy);
        }
        Ok(Envelope {
            account,
            sender,
            from_ids,
            smtputf8: mail.smtputf8,
            require_tls: mail.require_tls,
            future_release: future_release(mail.hold, now)?,
            envid: mail.envid.clone(),
            ret: mail.ret.map(|ret| match ret {
                Ret::Full => DsnReturn::Full,
                Ret::Headers => DsnReturn::Headers,
            }),
            recipients: Vec::new(),
            named: HashSet::new(),
            simulated: None,
        })
    }

    /// Takes RCPT. Somebody named again stays one recipient, as named first.
    pub(crate) fn add(&mut self, app: &App, rcpt: &RcptCommand) -> Result<(), Refused> {
        let address = address(app, &rcpt.path).map_err(Refused::BadRecipient)?;
        let directory = app.handles.store.directory();
        if app.mode == Mode::Local && !simulated::at_delivery(&address) {
            let separator = separator(&directory, &address);
            if let Some(failure) = simulated::at_rcpt(&address, separator) {
                return Err(Refused::Simulated(failure));
            }
            self.simulated = self.simulated.or_else(|| simulated::at_data(&address, separator));
        }
        if self.named.contains(&address) {
            return Ok(());
        }
        self.check_limits(app, &directory, &address)?;
        self.named.insert(address.clone());
        self.recipients.push(Recipient {
            address,
            notify: rcpt.notify.map(|notify| match notify {
                Notify::Never => DsnNotify::Never,
                Notify::On { success, failure, delay } => DsnNotify::On { success, failure, delay },
            }),
            original: rcpt.orcpt.as_ref().map(|orcpt| format!("{};{}", orcpt.address_type, orcpt.address)),
        });
        Ok(())
    }

    fn check_limits(&self, app: &App, directory: &Directory, next: &Address) -> Result<(), Refused> {
        let account = enabled(directory, self.account)?;
        // Who is named again in a message that was queued before does not count, which shows only at its end.
        if account.record.deduplicate_message_id || self.recipients.len() >= LIMITS_CHECKED_MAX {
            return Ok(());
        }
        let all = self.recipients.iter().map(|recipient| &recipient.address).chain([next]);
        let now = app.handles.clock.now();
        let allowed = app.handles.store.read(|view| view.may_send(account.id, &account.record, all, now));
        allowed
            .map_err(|error| {
                tracing::error!(%error, "the limits of an account could not be read");
                Refused::Failed
            })?
            .map_err(Refused::Limit)
    }

    /// What is wrong with it as a whole.
    pub(super) fn check(&self) -> Result<(), Refused> {
        if let Some(failure) = self.simulated {
            return Err(Refused::Simulated(failure));
        }
        match self.from_ids {
            // At the end: a client told at the second recipient would send to the first alone.
            FromIds::Brought(_) if self.recipients.len() > 1 => Err(Refused::ManyForFromId),
            FromIds::Brought(_) | FromIds::Fresh | FromIds::Nothing => Ok(()),
        }
    }

    /// The recipient, when there is just one.
    pub(super) fn single(&self) -> Option<&Address> {
        match &self.recipients[..] {
            [only] => Some(&only.address),
            _ => None,
        }
    }

    /// Whether only a server with SMTPUTF8 can take the addresses.
    pub(super) fn needs_smtputf8(&self) -> bool {
        self.sender.address().needs_smtputf8()
            || self.recipients.iter().any(|recipient| recipient.address.needs_smtputf8())
    }

    /// The recipients for the store, each with its return path.
    pub(super) fn recipients(
        self,
        app: &App,
        directory: &Directory,
        now: Timestamp,
    ) -> Result<Vec<NewRecipient>, Refused> {
        let Envelope { account, sender, from_ids, recipients, .. } = self;
        let new = |recipient: Recipient| {
            let from_id = match &from_ids {
                FromIds::Nothing => None,
                FromIds::Fresh => Some(FromId::new(now, rand::random())),
                FromIds::Brought(id) => Some(id.clone()),
            };
            let new = new_recipient(app, directory, account, &sender, from_id, recipient.address)
                .map_err(|_| Refused::LongSender)?;
            Ok(NewRecipient { notify: recipient.notify, original_recipient: recipient.original, ..new })
        };
        recipients.into_iter().map(new).collect()
    }
}

/// The account, if it may send.
pub(super) fn enabled(directory: &Directory, account: AccountId) -> Result<&Arc<DirectoryAccount>, Refused> {
    directory.account(account).filter(|account| !account.record.disabled).ok_or(Refused::AccountDisabled)
}

/// The address that stands at `place`, if the account may send as that.
pub(super) fn sender(
    place: &'static str,
    address: Address,
    account: AccountId,
    directory: &Directory,
) -> Result<Sender, Refused> {
    Sender::check(address.clone(), account, directory).map_err(|error| match error {
        NotSender::DomainDisabled => Refused::DomainDisabled(address.domain().clone()),
        NotSender::NotOwned => Refused::NotSender { place, address },
    })
}

/// A time that has passed already is as good as none.
fn future_release(hold: Option<Hold>, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
    let time = hold.map(|hold| match hold {
        Hold::For(seconds) => now.after(Duration::from_secs(seconds.into())),
        Hold::Until(seconds) => Timestamp::from_millis(seconds.saturating_mul(1000)),
    });
    match time.filter(|time| *time > now) {
        Some(time) if time > now.after(FUTURE_RELEASE_MAX) => Err(Refused::TooFarAhead),
        time => Ok(time),
    }
}

/// The address in RCPT. A postmaster without a domain is the one of this host (RFC 5321 section 4.1.1.3).
fn address(app: &App, path: &str) -> Result<Address, AddressError> {
    match path.contains('@') {
        true => Address::parse(path),
        false => Address::new(Localpart::parse(path)?, app.hostname.clone()),
    }
}

/// The separator of the address's domain, when the domain is ours.
fn separator(directory: &Directory, address: &Address) -> Option<char> {
    directory.domain(address.domain()).map(|domain| domain.record.catchall_separator)
}

//! Whom an account may send as, and the return paths of what it sends.

use mail::{AccountId, Address, AddressError, FromId};
use store::Directory;

/// What stands before a FromID at a domain that the directory does not know.
const SEPARATOR: char = '+';

/// An address that an account may send as.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    address: Address,
    separator: char,
}

/// Why an account may not send as an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSender {
    /// Nothing can be sent from the domain at the moment.
    DomainDisabled,
    /// The address belongs to another account, or to none.
    NotOwned,
}

impl Sender {
    /// The address, if the account may send as that.
    pub(crate) fn check(
        address: Address,
        account: AccountId,
        directory: &Directory,
    ) -> Result<Sender, NotSender> {
        let domain = directory.domain(address.domain());
        if domain.is_some_and(|domain| domain.record.disabled) {
            return Err(NotSender::DomainDisabled);
        }
        if directory.owner(&address).is_none_or(|owner| owner.id != account) {
            return Err(NotSender::NotOwned);
        }
        let separator = domain.map_or(SEPARATOR, |domain| domain.record.catchall_separator);
        Ok(Sender { address, separator })
    }

    /// The address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What stands behind the separator: as a return path, the FromID that it carries.
    pub(crate) fn carried_from_id(&self) -> Option<FromId> {
        FromId::parse(self.address.split_at_separator(self.separator).1?)
    }

    /// The return path that carries `id`.
    ///
    /// # Errors
    /// When that is too long.
    pub(crate) fn return_path(&self, id: &FromId) -> Result<Address, AddressError> {
        let (base, _) = self.address.split_at_separator(self.separator);
        base.with_separator_suffix(self.separator, id.as_str())
    }
}

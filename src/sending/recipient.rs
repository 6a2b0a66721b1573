//! A recipient of a message that is about to be queued.

use super::Sender;
use crate::app::App;
use actors::Journey;
use mail::{AccountId, Address, AddressError, FromId, ReversePath};
use store::{Directory, NewRecipient};

/// The recipient at `address` of a message of an account, with a return path of its own where it has a FromID. Nothing is
/// asked of reports about it.
///
/// # Errors
/// When the return path is too long with the FromID.
pub(crate) fn new_recipient(
    app: &App,
    directory: &Directory,
    account: AccountId,
    sender: &Sender,
    from_id: Option<FromId>,
    address: Address,
) -> Result<NewRecipient, AddressError> {
    let mail_from = match &from_id {
        None => sender.address().clone(),
        Some(id) => sender.return_path(id)?,
    };
    let mail_from = ReversePath::Address(mail_from);
    let journey = Journey::new(directory, account, &mail_from, &address);
    let destination = app.handles.router.destination(&journey);
    Ok(NewRecipient {
        address,
        mail_from,
        from_id,
        destination,
        notify: None,
        original_recipient: None,
        once: None,
    })
}

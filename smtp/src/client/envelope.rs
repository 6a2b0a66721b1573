//! MAIL and RCPT: their parameters, and why they need not even be said.

use super::content::sent_size;
use crate::data::check_newlines;
use crate::extensions::{Extensions, SizeLimit};
use crate::params::MAX_ENVID;
use crate::path::is_mailbox;
use crate::reply::Reply;
use crate::transaction::{Failure, Phase, Recipient, RecipientResult, Transaction};
use crate::xtext::encode_xtext;

/// What follows the path of MAIL, with the space before it.
pub(super) fn mail_parameters(transaction: &Transaction, offers: &Extensions) -> String {
    let mut parameters = String::new();
    let mut add = |parameter: &str| {
        parameters.push(' ');
        parameters.push_str(parameter);
    };
    if offers.size != SizeLimit::NotOffered {
        add(&format!("SIZE={}", sent_size(&transaction.content)));
    }
    if transaction.eight_bit {
        add("BODY=8BITMIME");
    }
    if needs_smtputf8(transaction) {
        add("SMTPUTF8");
    }
    if transaction.require_tls {
        add("REQUIRETLS");
    }
    if offers.dsn {
        if let Some(ret) = transaction.ret {
            add(&format!("RET={ret}"));
        }
        let envid = transaction.envid.as_deref().map(encode_xtext);
        if let Some(envid) = envid.filter(|envid| (1..=MAX_ENVID).contains(&envid.len())) {
            add(&format!("ENVID={envid}"));
        }
    }
    parameters
}

/// What follows the path of RCPT, with the space before it.
pub(super) fn rcpt_parameters(recipient: &Recipient, offers: &Extensions) -> String {
    if !offers.dsn {
        return String::new();
    }
    let notify = recipient.notify.map(|notify| format!(" NOTIFY={notify}"));
    let orcpt = recipient.orcpt.as_ref().and_then(|orcpt| orcpt.encode());
    notify.unwrap_or_default() + &orcpt.map(|orcpt| format!(" ORCPT={orcpt}")).unwrap_or_default()
}

/// Why the server need not even be asked.
pub(super) fn obstacle(
    transaction: &Transaction,
    offers: &Extensions,
    secure: bool,
) -> Option<RecipientResult> {
    let failure = if !(transaction.mail_from.is_empty() || is_mailbox(&transaction.mail_from)) {
        Failure::MalformedPath
    } else if transaction.require_tls && !(secure && offers.require_tls) {
        Failure::RequireTlsNotOffered
    } else if needs_smtputf8(transaction) && !offers.smtputf8 {
        Failure::Smtputf8NotOffered
    } else if transaction.eight_bit && !offers.eight_bit_mime {
        Failure::EightBitNotOffered
    } else if check_newlines(&transaction.content).is_err() {
        Failure::BareNewline
    } else {
        return too_large(&transaction.content, offers.size);
    };
    Some(RecipientResult::Failed(failure))
}

fn too_large(content: &[u8], limit: SizeLimit) -> Option<RecipientResult> {
    let SizeLimit::Max(max) = limit else { return None };
    let size = sent_size(content);
    (size > max).then(|| {
        let text = format!("The message has {size} octets, the server announced that it takes {max}");
        RecipientResult::Refused { reply: Reply::with_enhanced(552, 3, 4, &text), at: Phase::Mail }
    })
}

fn needs_smtputf8(transaction: &Transaction) -> bool {
    let mut recipients = transaction.recipients.iter();
    transaction.smtputf8 || !transaction.mail_from.is_ascii() || recipients.any(|r| !r.path.is_ascii())
}

//! From the request of `Send` to a draft: every check that needs no more than the request and the directory,
//! in the order of the contract.

use super::{
    super::{parse_address, shortened},
    request::{JsonFile, NameAddress, Request},
};
use crate::{
    http::{
        error::{ApiError, Code},
        form::{FileKind, FormFile},
    },
    logins::Login,
    sending::{NotSender, Sender},
};
use mail::{Address, Draft, File, HeaderName, HeaderText, MessageId, Timestamp, Where};
use store::Directory;

/// Custom headers of a message.
const HEADERS_MAX: usize = 500;
/// Files of a message.
const FILES_MAX: usize = 1_000;

/// The addresses of a message, all of them parsed, and a sender who may send.
pub(super) struct Addressed {
    pub(super) sender: Sender,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
    reply_to: Vec<Address>,
}

impl Addressed {
    /// Checks that there is a body, one sender, and recipients, and that the login may send as that sender.
    pub(super) fn check(
        request: &Request,
        login: &Login,
        directory: &Directory,
        recipients_max: usize,
    ) -> Result<Addressed, ApiError> {
        if request.text.is_empty() && request.html.is_empty() {
            return Err(ApiError::new(Code::MissingBody, "the message has no body; set Text, HTML or both"));
        }
        let from = match request.from.as_slice() {
            [] => login.address.clone(),
            [from] => parse_address(&from.address)?,
            _ => return Err(ApiError::new(Code::MultipleFrom, "From has more than one address; give one")),
        };
        let (to, cc, bcc, reply_to) =
            (parse(&request.to)?, parse(&request.cc)?, parse(&request.bcc)?, parse(&request.reply_to)?);
        let sender =
            Sender::check(from.clone(), login.account.id, directory).map_err(|error| match error {
                NotSender::DomainDisabled => {
                    let message = format!("nothing can be sent from {} at the moment", from.domain());
                    ApiError::new(Code::DomainDisabled, message)
                }
                NotSender::NotOwned => {
                    let message = format!("{from} is not an address of this account; use one that is");
                    ApiError::new(Code::BadFrom, message)
                }
            })?;
        match to.len() + cc.len() + bcc.len() {
            0 => return Err(ApiError::new(Code::NoRecipients, "there is no recipient; set To, CC or BCC")),
            number if number > recipients_max => {
                return Err(ApiError::user(format!(
                    "{number} recipients are more than one call may name; name at most {recipients_max}"
                )));
            }
            _ => {}
        }
        Ok(Addressed { sender, to, cc, bcc, reply_to })
    }

    /// Whoever gets the message, in the order in which they are answered.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Address> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }
}

fn parse(addresses: &[NameAddress]) -> Result<Vec<Address>, ApiError> {
    addresses.iter().map(|named| parse_address(&named.address)).collect()
}

/// Makes the draft of an addressed message; `random` becomes its Message-ID when it has none.
pub(super) fn draft(
    request: Request,
    addressed: Addressed,
    login: &Login,
    files: Vec<FormFile>,
    now: Timestamp,
    random: [u8; 12],
) -> Result<Draft, ApiError> {
    let name = match request.from.first() {
        Some(from) => &from.name,
        None => &login.account.record.full_name,
    };
    let message_id = match request.message_id.as_str() {
        "" => MessageId::new(now, random, addressed.sender.address().domain()),
        given => parse_message_id("MessageID", given)?,
    };
    let from = named(name, addressed.sender.address().clone())?;
    let mut draft = Draft::new(from, message_id, date(&request, now)?);
    draft.to = all_named(&request.to, addressed.to)?;
    draft.cc = all_named(&request.cc, addressed.cc)?;
    draft.bcc = all_named(&request.bcc, addressed.bcc)?;
    draft.reply_to = all_named(&request.reply_to, addressed.reply_to)?;
    draft.references = request
        .references
        .iter()
        .map(|text| parse_message_id("References", text))
        .collect::<Result<_, _>>()?;
    draft.subject = HeaderText::new(Where::Subject, request.subject).map_err(ApiError::user)?;
    draft.text = Some(request.text).filter(|text| !text.is_empty());
    draft.html = Some(request.html).filter(|html| !html.is_empty());
    draft.headers = headers(request.headers, request.require_tls)?;
    let in_json = request.alternative_files.len() + request.inline_files.len() + request.attached_files.len();
    if in_json + files.len() > FILES_MAX {
        return Err(ApiError::user(format!("the message has more than {FILES_MAX} files")));
    }
    draft.alternative_files = from_json(request.alternative_files)?;
    draft.inline_files = from_json(request.inline_files)?;
    draft.attached_files = from_json(request.attached_files)?;
    add_files(&mut draft, files)?;
    Ok(draft)
}

fn named(name: &str, address: Address) -> Result<mail::NameAddress, ApiError> {
    mail::NameAddress::new(name, address).map_err(ApiError::user)
}

fn all_named(given: &[NameAddress], addresses: Vec<Address>) -> Result<Vec<mail::NameAddress>, ApiError> {
    given.iter().zip(addresses).map(|(given, address)| named(&given.name, address)).collect()
}

fn parse_message_id(field: &str, text: &str) -> Result<MessageId, ApiError> {
    MessageId::parse(text).map_err(|error| {
        ApiError::new(Code::MalformedMessageId, format!("{field}: {:?}: {error}", shortened(text)))
    })
}

fn date(request: &Request, now: Timestamp) -> Result<Timestamp, ApiError> {
    match request.date.map(|date| date.0) {
        None => Ok(now),
        // Further away lies nothing that a Date header can express, nor any honest mistake.
        Some(date) if (Timestamp::default()..=Timestamp::MAX).contains(&date) => Ok(date),
        Some(_) => Err(ApiError::user("Date is before 1970 or after 9999")),
    }
}

fn headers(
    headers: Vec<(String, String)>,
    require_tls: Option<bool>,
) -> Result<Vec<(HeaderName, HeaderText)>, ApiError> {
    if headers.len() > HEADERS_MAX {
        return Err(ApiError::user(format!("Headers has more than {HEADERS_MAX} headers")));
    }
    let parse = |(name, value): (String, String)| {
        Ok((HeaderName::parse(&name)?, HeaderText::new(Where::HeaderValue, value)?))
    };
    let given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("TLS-Required"));
    // It tells the hosts further on (RFC 8689, section 3).
    let wanted = (require_tls == Some(false) && !given).then(|| ("TLS-Required".into(), "No".into()));
    headers
        .into_iter()
        .chain(wanted)
        .map(parse)
        .collect::<Result<_, mail::DraftError>>()
        .map_err(ApiError::user)
}

fn from_json(files: Vec<JsonFile>) -> Result<Vec<File>, ApiError> {
    let parse = |file: JsonFile| {
        let data = file.data.0.ok_or_else(|| ApiError::user("the Data of a file is not base64"))?;
        Ok(File::new(&file.name, &file.content_type, &file.content_id, data)?)
    };
    files.into_iter().map(parse).collect()
}

fn add_files(draft: &mut Draft, files: Vec<FormFile>) -> Result<(), ApiError> {
    for FormFile { kind, name, content_type, content_id, data } in files {
        let file = File::new(&name, &content_type, &content_id, data)?;
        match kind {
            FileKind::Alternative => draft.alternative_files.push(file),
            FileKind::Inline => draft.inline_files.push(file),
            FileKind::Attached => draft.attached_files.push(file),
        }
    }
    Ok(())
}

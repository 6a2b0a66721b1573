//! The options that say which messages are meant.

use crate::{
    cli::{
        selection::FilterOptions,
        time_bound::{TimeBound, ahead, past},
    },
    control::Selection,
};
use clap::Args;
use mail::{Address, Domain, QueueId, ReversePath, Timestamp};
use store::QueueFilter;

/// Which messages; all that is given must hold.
#[derive(Args, Clone, Debug)]
pub(super) struct FilterArgs {
    /// Messages with these ids
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// Messages with this id; may be repeated
    #[arg(long = "id", value_name = "ID")]
    more_ids: Vec<u64>,
    /// Messages of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Messages with this address as MAIL FROM, with or without FromID; '<>' for the empty one
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<ReversePath>,
    /// Messages with a MAIL FROM of this domain
    #[arg(long, value_name = "DOMAIN")]
    sender_domain: Option<Domain>,
    /// Messages to this address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Address>,
    /// Messages to this domain
    #[arg(long, value_name = "DOMAIN")]
    recipient_domain: Option<Domain>,
    /// Messages that are held, or with `false` that are not
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    hold: Option<bool>,
    /// Messages accepted less than ('<1h') or more than ('>1h') so long ago, or before or after now or an RFC 3339
    /// time; may be repeated
    #[arg(long, value_name = "BOUND")]
    submitted: Vec<TimeBound>,
    /// Messages tried next in less than ('<1h') or more than ('>1h') so long, or before or after now or an RFC 3339
    /// time; may be repeated
    #[arg(long, value_name = "BOUND")]
    next_attempt: Vec<TimeBound>,
    /// Messages for which this transport was asked for; '' for those without
    #[arg(long, value_name = "NAME")]
    transport: Option<String>,
}

impl FilterOptions for FilterArgs {
    type Filter = QueueFilter;
    const WHAT: &'static str = "messages of the queue";
    const LIST: &'static str = "postrider queue list";

    fn selection(&self, now: Timestamp) -> Selection {
        Selection {
            account: self.account.clone(),
            filter: QueueFilter {
                ids: self.ids.iter().chain(&self.more_ids).copied().map(QueueId).collect(),
                account: None,
                sender: self.sender.clone(),
                sender_domain: self.sender_domain.clone(),
                recipient: self.recipient.clone(),
                recipient_domain: self.recipient_domain.clone(),
                hold: self.hold,
                submitted: past(&self.submitted, now),
                next_attempt: ahead(&self.next_attempt, now),
                transport: self.transport.clone(),
            },
        }
    }
}

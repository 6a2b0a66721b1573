//! What a reply or a report that ended a message means: one table.

mod blanked;
#[cfg(test)]
mod providers;

pub use blanked::without_names;

use crate::EnhancedCode;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The octets of a reply's text that are looked at.
const TEXT: usize = 1024;

/// What a failure was about, and whether it will stay so.
///
/// It judges a failure that is already final: the reply code decides whether a message is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// What the failure was about.
    pub scope: Scope,
    /// Whether it will stay so.
    pub permanence: Permanence,
}

/// What a failure was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The recipient's mailbox.
    Mailbox,
    /// The recipient's domain: it does not exist or takes no mail.
    Domain,
    /// The sender: its host, domain or address is listed, complained about or not known well enough.
    SenderReputation,
    /// A rule of the receiving side: authentication, relaying, greylisting, or a refusal without a better reason.
    Policy,
    /// The message itself: spam, malware, size, format.
    Content,
    /// The way there: connection, routing, protocol, the state of a host.
    Network,
}

/// Whether a failure will stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permanence {
    /// The next message will meet the same.
    Permanent,
    /// It may pass, as a full mailbox does, or nothing shows that it will not.
    Temporary,
}

/// What a reply answers: who it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The connection, EHLO, or what secures it: about this server and the host.
    Session,
    /// MAIL: about the sender.
    Sender,
    /// RCPT, or the content after it: about the recipient as well.
    Recipient,
}

impl Verdict {
    /// Judges a reply by what it answers, and then as [`Verdict::of`]. Before a recipient was named, nothing is said of
    /// a mailbox, whatever the codes are; only a bare 521 in place of a greeting, which RFC 7504 has for it, says that
    /// the domain takes no mail.
    pub fn at(stage: Stage, code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Verdict {
        let verdict = Verdict::of(code, enhanced, text);
        let knows_no_reason = || enhanced.is_none() && Verdict::of(550, None, text).suppresses_at_once();
        let scope = match (stage, verdict.scope) {
            (Stage::Session, Scope::Domain) if code == 521 && knows_no_reason() => Scope::Domain,
            (Stage::Session, Scope::Mailbox | Scope::Domain) => Scope::Policy,
            // RFC 1870: larger than the host takes.
            (Stage::Sender, Scope::Mailbox) if code == 552 => Scope::Content,
            (Stage::Sender, Scope::Mailbox | Scope::Domain) => Scope::SenderReputation,
            (Stage::Session | Stage::Sender | Stage::Recipient, scope) => scope,
        };
        Verdict { scope, ..verdict }
    }

    /// Judges a reply about a recipient by its code, its enhanced code and its text, of which the first 1,024 octets
    /// count; without the names of the recipient, see [`without_names`]. `code` is 0 when there was no reply.
    pub fn of(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Verdict {
        let text = &text.as_bytes()[..text.len().min(TEXT)];
        let rule = RULES.iter().find(|rule| rule.fits(code, enhanced, text));
        rule.expect("the last rule fits everything").verdict(code)
    }

    /// Whether one such failure puts the recipient on the suppression list. Other replies need to come three times
    /// in a row.
    pub const fn suppresses_at_once(self) -> bool {
        matches!(self.scope, Scope::Mailbox | Scope::Domain)
            && matches!(self.permanence, Permanence::Permanent)
    }
}

/// As `mailbox, permanent`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.scope, self.permanence)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Mailbox => "mailbox",
            Scope::Domain => "domain",
            Scope::SenderReputation => "sender-reputation",
            Scope::Policy => "policy",
            Scope::Content => "content",
            Scope::Network => "network",
        })
    }
}

impl fmt::Display for Permanence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Permanence::Permanent => "permanent",
            Permanence::Temporary => "temporary",
        })
    }
}

use {Code::*, Lasts::*, Scope::*, Status::*};

/// The first rule that fits decides. One that gives mailbox or domain, lasting as the code says, suppresses at
/// once on a 5xx: such rules stand in the first two groups and in the row for a bare 550, and nowhere else but
/// for 450.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    // Codes that say it alone.
    rule(Is(521),        Whatever,               ANY_TEXT,      Domain,           AsCode), // RFC 7504: a host takes no mail
    rule(Is(556),        Whatever,               ANY_TEXT,      Domain,           AsCode), // RFC 7504: a domain takes no mail
    rule(Is(551),        Whatever,               ANY_TEXT,      Mailbox,          AsCode), // RFC 5321: user not local
    rule(Is(553),        Whatever,               ANY_TEXT,      Mailbox,          AsCode), // RFC 5321: mailbox name not allowed
    // Enhanced codes about the recipient (RFC 3463, 3.2 and 3.3).
    rule(Every,          Detail(1, 1),           ANY_TEXT,      Mailbox,          AsCode), // bad destination mailbox address
    rule(Every,          Detail(1, 2),           ANY_TEXT,      Domain,           AsCode), // bad destination system address
    rule(Every,          Detail(1, 3),           ANY_TEXT,      Mailbox,          AsCode), // bad mailbox address syntax
    rule(Every,          Detail(1, 6),           ANY_TEXT,      Mailbox,          AsCode), // moved, no forwarding address
    rule(Every,          Detail(1, 10),          NOT_FOUND,     Mailbox,          AsCode), // Exchange says it of a mailbox
    rule(Every,          Detail(1, 10),          ANY_TEXT,      Domain,           AsCode), // RFC 7505: null MX
    rule(Every,          Detail(2, 1),           ANY_TEXT,      Mailbox,          AsCode), // mailbox disabled
    // Enhanced codes that say more than any text.
    rule(Every,          Details(1, 7, 8),       ANY_TEXT,      SenderReputation, AsCode), // bad sender's address
    rule(Every,          Detail(1, 9),           ANY_TEXT,      Network,          AsCode), // RFC 3886: non-compliant mailer
    rule(Every,          Detail(2, 2),           ANY_TEXT,      Mailbox,          Passes), // mailbox full
    rule(Every,          Detail(2, 3),           ANY_TEXT,      Content,          AsCode), // too long for the mailbox
    rule(Every,          Detail(3, 4),           ANY_TEXT,      Content,          AsCode), // too big for the system
    rule(Every,          Detail(7, 28),          ANY_TEXT,      SenderReputation, AsCode), // mail flood
    rule(Every,          Details(7, 20, 30),     ANY_TEXT,      Policy,           AsCode), // RFC 7372, 7505, 8689: authentication
    rule(Every,          Details(7, 501, 503),   ANY_TEXT,      SenderReputation, AsCode), // Outlook: abuse, banned sender
    rule(Every,          Detail(7, 509),         ANY_TEXT,      Policy,           AsCode), // Outlook: DMARC
    rule(Every,          Detail(7, 511),         ANY_TEXT,      SenderReputation, AsCode), // Outlook: banned sender
    rule(Every,          Details(7, 606, 649),   ANY_TEXT,      SenderReputation, AsCode), // Outlook: banned host
    rule(Every,          Detail(4, 1),           REJECTED,      Mailbox,          Passes), // Exchange Online: not in the directory
    // Texts. What names the sender's standing comes before what also explains it with spam.
    rule(Every,          Whatever,               REPUTATION,    SenderReputation, AsCode),
    rule(Every,          Whatever,               BAD_CONTENT,   Content,          AsCode),
    rule(Every,          Whatever,               BLOCK_LISTS,   SenderReputation, AsCode),
    rule(Every,          Whatever,               SPAM,          Content,          AsCode),
    rule(Every,          Whatever,               POLICY,        Policy,           AsCode),
    rule(Every,          Whatever,               LOOP,          Network,          AsCode),
    // "Mailbox unavailable", and the text knows no other reason: besides block lists, spam and policy, malware and loops
    // are about the message or the way, and come to mailboxes that are there.
    rule(Is(550),        Missing,                ANY_TEXT,      Mailbox,          AsCode),
    rule(Every,          Whatever,               FULL,          Mailbox,          Passes),
    rule(Every,          Whatever,               TOO_BIG,       Content,          AsCode),
    rule(Every,          Whatever,               NOBODY,        Mailbox,          Passes), // no code says so
    // Enhanced codes by subject (RFC 3463, 3).
    rule(Every,          Subject(1),             ANY_TEXT,      Mailbox,          Passes), // no proof against the mailbox
    rule(Every,          Subject(2),             ANY_TEXT,      Mailbox,          Passes), // mailbox
    rule(Every,          Subject(3),             ANY_TEXT,      Network,          AsCode), // mail system
    rule(Every,          Subject(4),             ANY_TEXT,      Network,          AsCode), // network and routing
    rule(Every,          Subject(5),             ANY_TEXT,      Network,          AsCode), // mail delivery protocol
    rule(Every,          Subject(6),             ANY_TEXT,      Content,          AsCode), // content or media
    rule(Every,          Subject(7),             ANY_TEXT,      Policy,           AsCode), // security or policy
    // Codes (RFC 5321, 4.2.3).
    rule(Is(450),        Whatever,               ANY_TEXT,      Mailbox,          AsCode), // mailbox unavailable for now
    rule(Is(550),        Whatever,               ANY_TEXT,      Mailbox,          Passes), // the enhanced code says nothing
    rule(Is(552),        Whatever,               ANY_TEXT,      Mailbox,          Passes), // storage allocation exceeded
    rule(Between(501, 504), Whatever,            ANY_TEXT,      Network,          AsCode), // command not understood
    rule(Is(555),        Whatever,               ANY_TEXT,      Network,          AsCode), // parameters not implemented
    rule(Between(500, 599), Whatever,            ANY_TEXT,      Policy,           AsCode), // refused, with no reason that we know
    rule(Every,          Whatever,               ANY_TEXT,      Network,          AsCode), // 421, 451, no reply at all
];

// Words as they begin, in lower case: `block` is found in `Blocked` and not in `unblock`.
const ANY_TEXT: &[&str] = &[];
const NOT_FOUND: &[&str] = &["recipientnotfound", "recipient not found"];
const REJECTED: &[&str] = &["recipient address rejected"];
const REPUTATION: &[&str] =
    &["reputation", "your ip", "from your network", "complaints", "spamhaus", "spamcop", "senderscore"];
const BAD_CONTENT: &[&str] = &[
    "likely unsolicited",
    "likely suspicious",
    "spam content",
    "spam message",
    "considered spam",
    "message content",
    "content presents",
    "content denied",
    "content rejected",
    "virus",
    "malware",
    "malicious",
    "phish",
    "attachment",
];
const BLOCK_LISTS: &[&str] = &[
    "block",
    "blacklist",
    "black list",
    "black-list",
    "denylist",
    "deny list",
    "banned",
    "dnsbl",
    "rbl",
    "sbl",
    "xbl",
    "listed at",
    "listed by",
    "listed in",
    "listed on",
];
const SPAM: &[&str] = &["spam", "antispam", "nospam", "junk", "unsolicited", "bulk mail"];
const POLICY: &[&str] = &[
    "policy",
    "policies",
    "prohibit",
    "access denied",
    "relay",
    "spf",
    "dkim",
    "dmarc",
    "authenticat",
    "unauthenticated",
    "sender address rejected",
    "sender rejected",
    "sender denied",
    "sender verif",
    "reverse dns",
    "ptr",
    "helo",
    "ehlo",
    "greylist",
    "graylist",
    "rate limit",
    "ratelimit",
    "frequency limit",
    "sending limit",
    "too many connections",
    "too many messages",
    "too many invalid",
    "not authorized",
    "not permitted",
    "rejected by recipient",
    "bounce attack",
];
const LOOP: &[&str] = &["mail loop", "routing loop", "hop count", "too many hops"];
const FULL: &[&str] = &["over quota", "quota exceeded", "exceeded quota", "mailbox full", "mailbox is full"];
const NOBODY: &[&str] = &[
    "user unknown",
    "unknown user",
    "no such user",
    "user not found",
    "user doesn't",
    "does not exist",
    "recipient not found",
    "recipient unknown",
    "unknown recipient",
    "invalid recipient",
    "no mailbox",
    "no such mailbox",
    "mailbox unavailable",
    "mailbox not found",
    "mailbox is disabled",
    "account is disabled",
    "account has been disabled",
];
const TOO_BIG: &[&str] = &["too big", "too large", "message size", "size limit"];

struct Rule {
    code: Code,
    status: Status,
    words: &'static [&'static str],
    scope: Scope,
    lasts: Lasts,
}

enum Code {
    Every,
    Is(u16),
    Between(u16, u16),
}

/// The enhanced code; its class does not count, since the reply code says the same with more certainty.
enum Status {
    Whatever,
    Missing,
    Subject(u16),
    /// Subject and detail.
    Detail(u16, u16),
    /// Subject, and the first and the last detail.
    Details(u16, u16, u16),
}

enum Lasts {
    /// Permanent when the code is 5xx.
    AsCode,
    Passes,
}

const fn rule(
    code: Code,
    status: Status,
    words: &'static [&'static str],
    scope: Scope,
    lasts: Lasts,
) -> Rule {
    Rule { code, status, words, scope, lasts }
}

impl Rule {
    fn fits(&self, code: u16, enhanced: Option<EnhancedCode>, text: &[u8]) -> bool {
        let code_fits = match self.code {
            Every => true,
            Is(expected) => code == expected,
            Between(first, last) => (first..=last).contains(&code),
        };
        let about = enhanced.map(|enhanced| (enhanced.subject(), enhanced.detail()));
        let status_fits = match self.status {
            Whatever => true,
            Missing => about.is_none(),
            Subject(subject) => about.is_some_and(|(s, _)| s == subject),
            Detail(subject, detail) => about == Some((subject, detail)),
            Details(subject, first, last) => {
                about.is_some_and(|(s, d)| s == subject && (first..=last).contains(&d))
            }
        };
        code_fits && status_fits && (self.words.is_empty() || has_any(text, self.words))
    }

    fn verdict(&self, code: u16) -> Verdict {
        let permanence = match self.lasts {
            AsCode if (500..600).contains(&code) => Permanence::Permanent,
            AsCode | Passes => Permanence::Temporary,
        };
        Verdict { scope: self.scope, permanence }
    }
}

fn has_any(text: &[u8], words: &[&str]) -> bool {
    (0..text.len())
        .filter(|&at| at == 0 || !text[at - 1].is_ascii_alphanumeric())
        .any(|at| words.iter().any(|word| begins(&text[at..], word.as_bytes())))
}

/// In any case, and with any white space for a space, as the lines of a reply are joined.
fn begins(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len()
        && text.iter().zip(word).all(|(t, w)| match w {
            b' ' => t.is_ascii_whitespace(),
            w => t.eq_ignore_ascii_case(w),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permanence::{Permanent, Temporary};

    /// Replies as they come, with the verdict on them.
    #[rustfmt::skip]
    const SAMPLES: &[(u16, &str, Scope, Permanence)] = &[
        (521, "example.org does not accept mail", Domain, Permanent),
        (521, "5.2.1 AOL will not accept delivery of this message", Domain, Permanent),
        (556, "5.1.10 Recipient address has null MX", Domain, Permanent),
        (556, "Domain does not accept mail", Domain, Permanent),
        (551, "User not local; please try <jane@example.org>", Mailbox, Permanent),
        (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Mailbox, Permanent),
        (553, "5.1.3 The recipient address is not a valid RFC 5321 address", Mailbox, Permanent),
        (550, "5.1.1 The email account that you tried to reach does not exist", Mailbox, Permanent),
        (550, "5.1.1 <jane@example.org>: Recipient address rejected: User unknown in virtual mailbox table", Mailbox, Permanent),
        (550, "5.1.1 Mailbox blocked for spam", Mailbox, Permanent),
        (554, "5.1.1 Recipient not found", Mailbox, Permanent),
        (500, "5.1.1 status of a report without a diagnostic code", Mailbox, Permanent),
        (450, "4.1.1 <jane@example.org>: Recipient address rejected: unverified address", Mailbox, Temporary),
        (550, "5.1.2 Host unknown", Domain, Permanent),
        (450, "4.1.2 Recipient address rejected: Domain not found", Domain, Temporary),
        (501, "5.1.3 Bad recipient address syntax", Mailbox, Permanent),
        (550, "5.1.6 Recipient no longer on server", Mailbox, Permanent),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", Mailbox, Permanent),
        (550, "5.1.10 Recipient address has null MX", Domain, Permanent),
        (550, "5.2.1 The email account that you tried to reach is disabled", Mailbox, Permanent),
        (450, "4.2.1 The user you are trying to contact is receiving mail too quickly", Mailbox, Temporary),
        (550, "5.1.7 Bad sender address syntax", SenderReputation, Permanent),
        (550, "5.1.8 Access denied, bad outbound sender", SenderReputation, Permanent),
        (451, "4.1.8 Domain of sender address does not resolve", SenderReputation, Temporary),
        (550, "5.1.9 Relayed to non-compliant mailer", Network, Permanent),
        (552, "5.2.2 The email account that you tried to reach is over quota", Mailbox, Temporary),
        (452, "4.2.2 Mailbox full", Mailbox, Temporary),
        (552, "5.2.3 Message length exceeds administrative limit", Content, Permanent),
        (552, "5.3.4 Message size exceeds fixed limit", Content, Permanent),
        (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", SenderReputation, Temporary),
        (550, "5.7.26 This mail is unauthenticated, which poses a risk of spam; it was blocked", Policy, Permanent),
        (550, "5.7.25 The IP address sending this message does not have a PTR record", Policy, Permanent),
        (550, "5.7.27 Sender address has null MX", Policy, Permanent),
        (550, "5.7.30 REQUIRETLS support required", Policy, Permanent),
        (550, "5.7.509 Access denied, sending domain example.com does not pass DMARC verification", Policy, Permanent),
        (550, "5.7.501 Access denied, spam abuse detected", SenderReputation, Permanent),
        (550, "5.7.511 Access denied, banned sender [192.0.2.1]", SenderReputation, Permanent),
        (550, "5.7.606 Access denied, banned sending IP [192.0.2.1]", SenderReputation, Permanent),
        (550, "5.7.1 this message is\nlikely suspicious due to the very low reputation of the sending domain", SenderReputation, Permanent),
        (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", SenderReputation, Temporary),
        (550, "csi.mimecast.org Poor Reputation Sender", SenderReputation, Permanent),
        (550, "5.7.1 this message is\r\nlikely unsolicited mail. To reduce the amount of spam, it has been blocked", Content, Permanent),
        (554, "5.7.1 message contains virus Eicar-Test", Content, Permanent),
        (550, "5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus", SenderReputation, Permanent),
        (550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent; part of their network is on our block list (S3140)", SenderReputation, Permanent),
        (554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example.net", SenderReputation, Permanent),
        (550, "Rejected because 192.0.2.1 is listed at bl.example.net", SenderReputation, Permanent),
        (550, "rejected, found in dnsbl.example.net", SenderReputation, Permanent),
        (550, "permanent failure for one or more recipients (jane@example.org:blocked)", SenderReputation, Permanent),
        (550, "5.7.0 Blocked - see https://example.net/dnsbl-lookup", SenderReputation, Permanent),
        (550, "High probability of spam", Content, Permanent),
        (554, "5.7.1 Spam detected", Content, Permanent),
        (550, "Message looks like JUNK", Content, Permanent),
        (554, "5.7.1 [CS01] Message rejected due to local policy", Policy, Permanent),
        (554, "5.7.9 Message not accepted for policy reasons", Policy, Permanent),
        (554, "Transaction failed. Reject due to policy restrictions", Policy, Permanent),
        (550, "Administrative prohibition", Policy, Permanent),
        (550, "Rejected by header based Anti-Spoofing policy", Policy, Permanent),
        (554, "5.7.1 <jane@example.org>: Relay access denied", Policy, Permanent),
        (550, "relay not permitted", Policy, Permanent),
        (550, "SPF check failed", Policy, Permanent),
        (550, "5.4.1 Recipient address rejected: Access denied", Mailbox, Temporary),
        (450, "4.2.0 <jane@example.org>: Recipient address rejected: Greylisted", Policy, Temporary),
        (550, "Requested action not taken: mailbox unavailable", Mailbox, Permanent),
        (550, "No such user here", Mailbox, Permanent),
        (550, "#5.1.0 Address rejected.", Mailbox, Permanent),
        (550, "Unknown user marblegarbl@example.org", Mailbox, Permanent),
        (550, "", Mailbox, Permanent),
        (550, "mailbox full", Mailbox, Permanent),
        (550, "Message contains a virus", Content, Permanent),
        (550, "Attachments of this type are not accepted", Content, Permanent),
        (550, "Routing loop detected", Network, Permanent),
        (550, "Message refused. To be removed write to blacklist@isp.example", SenderReputation, Permanent),
        (550, "Sorry, your host was rejected, report errors to spam-block@isp.example", SenderReputation, Permanent),
        (550, "<friend@example.org>: rejected, listed at spamhaus.org", SenderReputation, Permanent),
        (550, "friend@example.org: blocked by spam.example", SenderReputation, Permanent),
        (554, "mailbox is full", Mailbox, Temporary),
        (552, "Message too large", Content, Permanent),
        (554, "5.0.0 Message exceeds maximum size; the size limit is 10 MB", Content, Permanent),
        (550, "5.1.0 Address rejected", Mailbox, Temporary),
        (550, "5.1.4 Recipient address ambiguous", Mailbox, Temporary),
        (550, "5.2.0 Mailbox unavailable", Mailbox, Temporary),
        (554, "5.2.0 STOREDRV.Deliver.Exception:StoragePermanentException", Mailbox, Temporary),
        (452, "4.3.1 Insufficient system storage", Network, Temporary),
        (554, "5.3.0 Other or undefined mail system status", Network, Permanent),
        (550, "5.3.2 System not accepting network messages", Network, Permanent),
        (554, "5.4.14 Hop count exceeded; possible mail loop", Network, Permanent),
        (451, "4.4.2 Connection timed out", Network, Temporary),
        (452, "4.5.3 Too many recipients", Network, Temporary),
        (554, "5.5.0 Protocol error", Network, Permanent),
        (554, "5.6.0 Message not RFC 5322 compliant", Content, Permanent),
        (550, "5.6.1 Media not supported", Content, Permanent),
        (550, "5.7.1 Delivery not authorized", Policy, Permanent),
        (451, "4.7.1 Try again later", Policy, Temporary),
        (450, "Mailbox busy", Mailbox, Temporary),
        (550, "5.0.0 User unknown", Mailbox, Temporary),
        (550, "5.0.0 Sorry", Mailbox, Temporary),
        (552, "Requested mail action aborted: exceeded storage allocation", Mailbox, Temporary),
        (502, "Command not implemented", Network, Permanent),
        (555, "MAIL FROM/RCPT TO parameters not recognized", Network, Permanent),
        (554, "delivery error: dd This user doesn't have a yahoo.com account", Mailbox, Temporary),
        (554, "No SMTP service here", Policy, Permanent),
        (530, "Must issue a STARTTLS command first", Policy, Permanent),
        (421, "Service not available, closing transmission channel", Network, Temporary),
        (451, "Requested action aborted: local error in processing", Network, Temporary),
        (0, "connection refused", Network, Temporary),
    ];

    fn split(text: &str) -> (Option<EnhancedCode>, &str) {
        EnhancedCode::at_start(text).map_or((None, text), |(code, rest)| (Some(code), rest))
    }

    fn known() -> impl Iterator<Item = (&'static str, u16, &'static str, Verdict)> {
        let samples =
            SAMPLES.iter().map(|(code, text, scope, permanence)| ("", code, text, scope, permanence));
        let providers = providers::REPLIES.iter();
        let providers =
            providers.map(|(who, code, text, scope, permanence)| (*who, code, text, scope, permanence));
        samples
            .chain(providers)
            .map(|(who, &code, &text, &scope, &permanence)| (who, code, text, Verdict { scope, permanence }))
    }

    #[test]
    fn each_known_reply_has_its_verdict() {
        for (who, code, text, expected) in known() {
            let (enhanced, rest) = split(text);
            assert_eq!(Verdict::of(code, enhanced, rest), expected, "{who} {code} {text}");
        }
    }

    #[test]
    fn each_rule_decides_a_known_reply() {
        let mut unused: Vec<usize> = (0..RULES.len()).collect();
        for (_, code, text, _) in known() {
            let (enhanced, rest) = split(text);
            let decides = RULES.iter().position(|rule| rule.fits(code, enhanced, rest.as_bytes()));
            unused.retain(|&rule| Some(rule) != decides);
        }
        assert!(unused.is_empty(), "rules without a sample: {unused:?}");
    }

    /// The rule as users are told it, against the table that carries it out.
    #[test]
    fn exactly_the_documented_failures_suppress_at_once() {
        const AT_ONCE: [(u16, u16); 6] = [(1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)];
        let codes = [
            0, 250, 400, 421, 450, 451, 452, 499, 500, 501, 510, 521, 530, 550, 551, 552, 553, 554, 555, 556,
            571, 599,
        ];
        let texts = [
            ("no such user", false),
            ("mailbox full", false),
            ("message too large", false),
            ("rejected: on a block list", true),
            ("this looks like Spam", true),
            ("refused by local POLICY", true),
        ];
        let mut statuses = vec![None];
        for class in [2, 4, 5] {
            for subject in 0..9 {
                statuses.extend((0..32).map(|detail| EnhancedCode::new(class, subject, detail)));
            }
        }
        for code in codes {
            for &status in &statuses {
                for (text, other_reason) in texts {
                    let expected = matches!(code, 521 | 551 | 553 | 556)
                        || (500..600).contains(&code)
                            && status.is_some_and(|s| AT_ONCE.contains(&(s.subject(), s.detail())))
                        || code == 550 && status.is_none() && !other_reason;
                    let verdict = Verdict::of(code, status, text);
                    assert_eq!(verdict.suppresses_at_once(), expected, "{code} {status:?} {text}: {verdict}");
                }
            }
        }
    }

    #[test]
    fn words_are_found_at_their_beginning_in_the_first_kilobyte() {
        for (text, found) in [
            ("SPAM", true),
            ("(spammer)", true),
            ("on a black\nlist", true),
            ("unspammed", false),
            ("spa", false),
            ("üspam", true),
        ] {
            assert_eq!(has_any(text.as_bytes(), &["spam", "black list"]), found, "{text}");
        }
        let at = |start: usize| Verdict::of(550, None, &format!("{}spam", " ".repeat(start))).scope;
        assert_eq!((at(TEXT - 4), at(TEXT - 3)), (Content, Mailbox));
        assert_eq!(Verdict::of(550, None, &"ü".repeat(TEXT)).scope, Mailbox);
        assert_eq!(Verdict::of(550, None, &format!("a{}", "ü".repeat(TEXT))).scope, Mailbox);
    }

    #[test]
    fn every_word_is_written_as_it_is_looked_for() {
        for word in RULES.iter().flat_map(|rule| rule.words) {
            assert!(word.len() > 2 && !word.bytes().any(|b| b.is_ascii_uppercase()), "{word}");
        }
    }
}

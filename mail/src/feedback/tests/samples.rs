//! What each program says, as it is written.

use super::*;

pub(super) const RECIPIENT: &str = "friend@remote.example";
pub(super) const RETURN_PATH: &str = "rider+id@sender.example";
pub(super) const MESSAGE_ID: &str = "<m1@sender.example>";

macro_rules! samples {
    ($($name:literal),* $(,)?) => {
        /// Names and contents.
        pub(super) const SAMPLES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../samples/", $name, ".eml")))),*];
    };
}

samples![
    "aol-complaint",
    "exchange-2003",
    "exchange-online",
    "exchange-server",
    "exim-report",
    "exim-text",
    "gmail",
    "outlook-complaint",
    "postfix-delayed",
    "postfix-delivered",
    "postfix-failed",
    "postfix-relayed",
    "postfix-several",
    "postfix-unknown-host",
    "qmail",
    "removal-complaint",
    "sendmail",
    "sendmail-expired",
    "utf8",
    "yahoo-complaint",
];

/// A sample about a certain message, with LF lines.
pub(super) fn sample(name: &str) -> String {
    let (_, text) = SAMPLES.iter().find(|(known, _)| *known == name).expect("a sample");
    text.replace("{recipient}", RECIPIENT)
        .replace("{return_path}", RETURN_PATH)
        .replace("{message_id}", MESSAGE_ID)
}

/// What of a block is told to the application.
fn told(block: &RecipientStatus) -> String {
    let enhanced = block.enhanced.map(|code| format!(" {code}")).unwrap_or_default();
    let names: Vec<_> = block.names.iter().map(ToString::to_string).collect();
    format!(
        "{} | {:?} {:?}{enhanced} {} | {}",
        names.join(" "),
        block.action,
        block.code,
        block.text,
        block.verdict
    )
}

#[test]
fn each_sample_is_a_case_here() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/feedback/samples");
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, SAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut read: Vec<_> =
        STATUSES.iter().map(|(name, ..)| *name).chain(COMPLAINTS.iter().map(|(name, ..)| *name)).collect();
    read.sort();
    assert_eq!(found, read);
}

type Texts = &'static [&'static str];

/// Blocks, and whether the return path and the Message-ID are told.
const STATUSES: &[(&str, Texts, (bool, bool))] = &[
    (
        "exchange-2003",
        &["friend@remote.example | Failed FromStatus(500) 5.1.1  | mailbox, permanent"],
        (false, true),
    ),
    (
        "exchange-online",
        &[
            "friend@remote.example | Failed Quoted(550) 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient friend@remote.example not found by SMTP address lookup | mailbox, permanent",
        ],
        (true, true),
    ),
    (
        "exchange-server",
        &[
            "friend@remote.example friend@remote.example | Failed Quoted(554) 5.2.2 mailbox full; STOREDRV.Deliver; QuotaExceededException | mailbox, temporary",
        ],
        (true, true),
    ),
    (
        "exim-report",
        &[
            "friend@remote.example | Failed Quoted(550) 5.0.0 No such person at this address | mailbox, permanent",
        ],
        (true, true),
    ),
    (
        "exim-text",
        &[
            "stranger@remote.example | Failed Untold Unrouteable address | network, temporary",
            "friend@remote.example box7@inside.example | Failed Quoted(550) 5.2.1 This mailbox is closed | mailbox, permanent",
        ],
        (true, true),
    ),
    (
        "gmail",
        &[
            "friend@remote.example | Failed Quoted(550) 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.example/mail/?p=NoSuchUser a1-2000si1.1 - gsmtp | mailbox, permanent",
        ],
        (false, true),
    ),
    (
        "postfix-delayed",
        &[
            "friend@remote.example friend@remote.example | Delayed Quoted(452) 4.2.2 Mailbox full | mailbox, temporary",
        ],
        (true, true),
    ),
    (
        "postfix-delivered",
        &[
            "friend@remote.example friend@remote.example | Delivered Quoted(250) 2.0.0 <friend@remote.example> Saved | network, temporary",
        ],
        (true, true),
    ),
    (
        "postfix-failed",
        &[
            "friend@remote.example friend@remote.example | Failed Quoted(550) 5.1.1 <friend@remote.example>: Recipient address rejected: User unknown in virtual mailbox table | mailbox, permanent",
        ],
        (true, true),
    ),
    (
        "postfix-relayed",
        &["friend@remote.example friend@remote.example | Relayed Quoted(250) 2.1.5 Ok | mailbox, temporary"],
        (true, true),
    ),
    (
        "postfix-several",
        &[
            "stranger@remote.example stranger@remote.example | Failed FromStatus(500) 5.1.1 unknown user: \"stranger\" | mailbox, permanent",
            "friend@remote.example box7@inside.example | Failed Quoted(554) 5.0.0 Sorry, no more room for anybody | policy, permanent",
        ],
        (true, true),
    ),
    (
        "postfix-unknown-host",
        &[
            "friend@remote.example friend@remote.example | Failed FromStatus(500) 5.4.4 Host or domain name not found. Name service error for name=inside.example type=A: Host not found | network, permanent",
        ],
        (true, false),
    ),
    (
        "qmail",
        &[
            "stranger@remote.example | Failed FromStatus(500) 5.1.1 Sorry, no mailbox here by that name. (#5.1.1) | mailbox, permanent",
            "friend@remote.example | Failed Quoted(554) 5.7.1 <friend@remote.example>: Recipient address rejected: Access denied | policy, permanent",
        ],
        (true, true),
    ),
    (
        "sendmail",
        &[
            "friend@remote.example | Failed Quoted(553) 5.3.0 <friend@remote.example>... Addressee unknown | mailbox, permanent",
        ],
        (true, true),
    ),
    (
        "sendmail-expired",
        &[
            "friend@remote.example box7@inside.example box7@mail.inside.example | Failed FromStatus(400) 4.4.7  | network, temporary",
        ],
        (true, true),
    ),
    (
        "utf8",
        &[
            "friend@remote.example jürgen@inside.example jürgen@mail.inside.example | Failed Quoted(550) 5.1.6 Postfach umgezogen, keine Adresse für Sie | mailbox, permanent",
        ],
        (true, true),
    ),
];

/// The recipients that are told, and those of the message; whether the return path and the Message-ID are told.
const COMPLAINTS: &[(&str, Texts, Texts, (bool, bool))] = &[
    ("aol-complaint", &[], &["redacted@aol.example"], (true, true)),
    ("outlook-complaint", &[], &[RECIPIENT], (false, true)),
    ("removal-complaint", &[RECIPIENT], &["a@remote.example", "b@remote.example"], (false, true)),
    ("yahoo-complaint", &[RECIPIENT], &[RECIPIENT], (true, true)),
];

#[test]
fn the_reports_of_each_program_are_read() {
    for (name, blocks, original) in STATUSES {
        for raw in [sample(name), sample(name).replace('\n', "\r\n")] {
            let Some(Feedback::Status(status)) = read(raw.as_bytes()) else { panic!("{name}") };
            assert_eq!(status.recipients.iter().map(told).collect::<Vec<_>>(), *blocks, "{name}");
            assert_told(&status.original, *original, name);
            let envelope_id = (*name == "utf8").then_some("order+2B7");
            assert_eq!(status.envelope_id.as_deref(), envelope_id, "{name}");
        }
    }
}

#[test]
fn the_complaints_of_each_provider_are_read() {
    for (name, recipients, listed, original) in COMPLAINTS {
        for raw in [sample(name), sample(name).replace('\n', "\r\n")] {
            let Some(Feedback::Complaint(complaint)) = read(raw.as_bytes()) else { panic!("{name}") };
            let texts = |addresses: &[Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(texts(&complaint.recipients), *recipients, "{name}");
            assert_eq!(texts(&complaint.original.recipients), *listed, "{name}");
            assert_told(&complaint.original, *original, name);
        }
    }
}

fn assert_told(original: &OriginalMessage, (return_path, message_id): (bool, bool), name: &str) {
    assert_eq!(original.return_path, return_path.then(|| RETURN_PATH.parse().unwrap()), "{name}");
    assert_eq!(original.message_id.as_deref(), message_id.then_some(MESSAGE_ID), "{name}");
}

#[test]
fn an_encoded_status_is_read_alike() {
    let plain = sample("postfix-failed").replace('\n', "\r\n");
    let head = "Content-Type: message/delivery-status\r\n";
    let (before, rest) = plain.split_once(head).unwrap();
    let (status, after) = rest.split_once("\r\n--4Xy7Zk0").unwrap();
    let in_base64 = base64::engine::general_purpose::STANDARD.encode(status.trim_start());
    let quoted = status.replace('=', "=3D").replace("Final-", "Fi=\r\nnal-");
    for (encoding, encoded) in [("base64", format!("\r\n{in_base64}")), ("quoted-printable", quoted)] {
        let raw =
            format!("{before}{head}Content-Transfer-Encoding: {encoding}\r\n{encoded}\r\n--4Xy7Zk0{after}");
        assert_eq!(read(raw.as_bytes()), read(plain.as_bytes()), "{raw}");
    }
}

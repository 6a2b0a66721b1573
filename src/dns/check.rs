//! Whether records are there, and right.

use super::{Expected, Lookups, Record};
use futures_util::future::join_all;
use serde::Serialize;
use std::fmt::Write;

/// A record, and what was found in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What was found in the place of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "detail", rename_all = "snake_case")]
pub enum Finding {
    /// It is there.
    Right,
    /// Nothing is there.
    Missing,
    /// Something else is there: what, and what to do.
    Wrong(String),
    /// It could not be looked up, for this reason.
    Unknown(String),
}

impl Checked {
    /// Whether mail suffers, or may.
    pub fn is_bad(&self) -> bool {
        self.record.required && self.finding != Finding::Right
    }
}

/// Looks all of them up.
pub async fn check(lookups: &Lookups, records: Vec<Record>) -> Vec<Checked> {
    join_all(records.into_iter().map(async |record| {
        let finding = match lookups.values(&record.name, record.kind).await {
            Ok(present) => judge(&record, &present),
            Err(reason) => Finding::Unknown(reason),
        };
        Checked { record, finding }
    }))
    .await
}

/// Judges what is there, see [`Lookups::values`].
fn judge(record: &Record, present: &[String]) -> Finding {
    let found = || present.join(", ");
    let exactly = |wanted: &str, remedy: &str| match present {
        [] => Finding::Missing,
        present if present.iter().any(|value| value.eq_ignore_ascii_case(wanted)) => Finding::Right,
        _ => Finding::Wrong(format!("there is {}; {remedy}", found())),
    };
    match &record.expected {
        Expected::Address => {
            let wanted = record.value.as_ref();
            match present {
                [] => Finding::Missing,
                present if wanted.is_none_or(|wanted| present.contains(wanted)) => Finding::Right,
                _ => Finding::Wrong(format!("there is {}; is that this machine?", found())),
            }
        }
        Expected::Mx(host) => match present {
            [] => Finding::Missing,
            present if present.iter().any(|mx| mx.split(' ').nth(1) == Some(host)) => Finding::Right,
            _ => Finding::Wrong(format!("mail goes to {}; bounces do not come back from there", found())),
        },
        Expected::Spf(mechanisms) => spf(present, mechanisms),
        Expected::Dkim(public) => match present {
            [] => Finding::Missing,
            present if present.iter().any(|key| tag(key, "p") == *public) => Finding::Right,
            _ => Finding::Wrong("there is another key; replace it, as signatures do not verify".into()),
        },
        Expected::Version(version) => match versions(present, version).as_slice() {
            [] => Finding::Missing,
            [_] => Finding::Right,
            _ => Finding::Wrong(format!("there is more than one {version} record; keep one")),
        },
        Expected::Ptr(host) => exactly(host, "have it changed"),
        Expected::Tlsa(association) => exactly(association, "add this one, and remove those of old keys"),
    }
}

fn spf(present: &[String], mechanisms: &[String]) -> Finding {
    match versions(present, "v=spf1").as_slice() {
        [] => Finding::Missing,
        [one] => {
            let has = |wanted: &String| {
                one.split_ascii_whitespace()
                    .any(|term| term.trim_start_matches('+').eq_ignore_ascii_case(wanted))
            };
            if mechanisms.iter().any(has) {
                Finding::Right
            } else {
                let add = mechanisms.first().map_or("", String::as_str);
                Finding::Wrong(format!(
                    "there is \"{one}\"; put {add} into it, unless it allows this server already"
                ))
            }
        }
        _ => Finding::Wrong("there is more than one SPF record, so that none counts; make them one".into()),
    }
}

fn versions<'p>(present: &'p [String], version: &str) -> Vec<&'p String> {
    let is = |record: &&String| {
        record.split([';', ' ']).next().is_some_and(|first| first.eq_ignore_ascii_case(version))
    };
    present.iter().filter(is).collect()
}

/// The value of a tag without white space; empty when there is none.
fn tag(record: &str, name: &str) -> String {
    let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let value = tags.find(|(tag, _)| tag.trim() == name).map(|(_, value)| value);
    value.unwrap_or_default().split_ascii_whitespace().collect()
}

/// Lines of a zone file, each with its purpose and, where it was looked for, what was found as comments.
pub fn to_zone<'r>(records: impl Iterator<Item = (&'r Record, Option<&'r Finding>)>) -> String {
    let mut zone = String::new();
    for (record, finding) in records {
        let Record { name, kind, value, purpose, required, .. } = record;
        let lines = (|| {
            writeln!(zone, "; {purpose}")?;
            match finding {
                None => Ok(()),
                Some(Finding::Right) => writeln!(zone, "; ok: it is there"),
                Some(Finding::Missing) if *required => writeln!(zone, "; MISSING: add it"),
                Some(Finding::Missing) => writeln!(zone, "; not there"),
                Some(Finding::Wrong(problem)) => writeln!(zone, "; WRONG: {}", one_line(problem)),
                Some(Finding::Unknown(reason)) => {
                    writeln!(zone, "; not known, the lookup failed: {}", one_line(reason))
                }
            }?;
            match value {
                Some(value) => writeln!(zone, "{name}. IN {kind} {value}\n"),
                None => writeln!(
                    zone,
                    "; {name}. IN {kind} <the public address of this machine, if it has one>\n"
                ),
            }
        })();
        lines.expect("writing to a String does not fail");
    }
    zone
}

/// What comes from DNS can hold anything.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(expected: Expected) -> Record {
        Record {
            name: "example.com".into(),
            kind: "TXT",
            value: None,
            purpose: "a test".into(),
            required: true,
            expected,
        }
    }

    #[test]
    fn what_is_there_is_judged() {
        let spf = || Expected::Spf(vec!["a:mail.example.com".into(), "mx".into()]);
        let right = Ok(true);
        let wrong = Ok(false);
        let missing = Err(());
        for (expected, present, verdict) in [
            (Expected::Address, &["192.0.2.1"][..], right),
            (Expected::Address, &[], missing),
            (Expected::Mx("mail.example.com".into()), &["5 other.example", "10 mail.example.com"], right),
            (Expected::Mx("mail.example.com".into()), &["10 mail.example.org"], wrong),
            (Expected::Mx("mail.example.com".into()), &[], missing),
            (spf(), &["google-site-verification=x", "v=spf1 a:mail.example.com ~all"], right),
            (spf(), &["V=SPF1 +MX -all"], right),
            (spf(), &["v=spf1 include:mx.example -all"], wrong),
            (spf(), &["v=spf1 mx -all", "v=spf1 a -all"], wrong),
            (spf(), &["v=spf10 mx"], missing),
            (Expected::Dkim("AB".into()), &["v=DKIM1; k=rsa; p=A B"], right),
            (Expected::Dkim("AB".into()), &["v=DKIM1; k=rsa; p=CD"], wrong),
            (Expected::Dkim("AB".into()), &["v=DKIM1; p="], wrong),
            (Expected::Version("v=DMARC1"), &["v=DMARC1; p=none"], right),
            (Expected::Version("v=DMARC1"), &["v=DMARC1;p=none", "v=DMARC1;p=reject"], wrong),
            (Expected::Version("v=DMARC1"), &["unrelated"], missing),
            (Expected::Ptr("mail.example.com".into()), &["mail.example.com"], right),
            (Expected::Ptr("mail.example.com".into()), &["host.isp.example"], wrong),
            (Expected::Tlsa("3 1 1 ab".into()), &["3 1 1 AB"], right),
            (Expected::Tlsa("3 1 1 ab".into()), &["3 1 1 cd"], wrong),
        ] {
            let record = record(expected);
            let present: Vec<_> = present.iter().map(|value| (*value).to_owned()).collect();
            let found = match judge(&record, &present) {
                Finding::Right => Ok(true),
                Finding::Wrong(_) => Ok(false),
                Finding::Missing => Err(()),
                Finding::Unknown(reason) => panic!("{reason}"),
            };
            assert_eq!(found, verdict, "{:?} {present:?}", record.expected);
        }
    }

    #[test]
    fn the_lines_are_those_of_a_zone_file() {
        let mut known = record(Expected::Address);
        known.value = Some("\"text\"".into());
        let unknown = record(Expected::Address);
        let hostile = Finding::Wrong("a\nb".into());
        let zone = to_zone([(&known, Some(&hostile)), (&unknown, None)].into_iter());
        assert_eq!(
            zone,
            "; a test\n; WRONG: a b\nexample.com. IN TXT \"text\"\n\n; a test\n; example.com. IN TXT <the public address \
             of this machine, if it has one>\n\n"
        );
    }
}

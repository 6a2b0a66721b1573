//! MTA-STS records and policies (RFC 8461): reading them.

use std::time::Duration;
use store::records::StsMode;

/// The longest a policy may hold (RFC 8461 3.2): about a year.
const MAX_AGE: u64 = 31_557_600;
/// Patterns that count.
const PATTERNS_MAX: usize = 100;

/// A policy as its domain publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: StsMode,
    /// Names of exchangers, of which some begin with `*.`.
    pub(super) mx: Vec<String>,
    pub(super) max_age: Duration,
}

impl Policy {
    /// Reads the file at `/.well-known/mta-sts.txt` (RFC 8461 3.2).
    ///
    /// # Errors
    /// Why it is none, for the log.
    pub(super) fn parse(text: &str) -> Result<Policy, &'static str> {
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                // Of a field that is there twice the first counts.
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() < PATTERNS_MAX => mx.push(value.to_ascii_lowercase()),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err("it has no version STSv1");
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            Some(_) | None => return Err("it has no mode that is known"),
        };
        let seconds: u64 = max_age.and_then(|age| age.parse().ok()).ok_or("it has no max_age")?;
        if mx.is_empty() && mode != StsMode::None {
            return Err("it names no mx");
        }
        Ok(Policy { mode, mx, max_age: Duration::from_secs(seconds.min(MAX_AGE)) })
    }
}

/// The id in the texts at `_mta-sts` of a domain; none when there is not exactly one record (RFC 8461 3.1).
pub(super) fn record_id(texts: &[String]) -> Option<&str> {
    let mut records = texts.iter().filter(|text| {
        text.strip_prefix("v=STSv1").is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(';'))
    });
    let (record, None) = (records.next()?, records.next()) else { return None };
    let id =
        record.split(';').filter_map(|field| field.split_once('=')).find(|(key, _)| key.trim() == "id")?.1;
    let id = id.trim();
    let fits = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some(id)
}

/// Whether a policy allows an exchanger (RFC 8461 4.1): `*` stands for one label.
pub(crate) fn allows(patterns: &[String], host: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => pattern == host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_others_refused() {
        let good = "version: STSv1\r\nmode: enforce\r\nmx: Mail.example.com\r\nmx: *.example.net\r\n\
                    max_age: 604800\r\nextra: yes\r\n";
        let expected = Policy {
            mode: StsMode::Enforce,
            mx: vec!["mail.example.com".into(), "*.example.net".into()],
            max_age: Duration::from_secs(604_800),
        };
        assert_eq!(Policy::parse(good), Ok(expected.clone()));
        assert_eq!(Policy::parse(&good.replace("\r\n", "\n")), Ok(expected));
        let mode = |text: &str| Policy::parse(text).map(|policy| policy.mode);
        assert_eq!(mode("version:STSv1\nmode:none\nmax_age:1\n"), Ok(StsMode::None));
        assert_eq!(
            mode("version: STSv1\nmode: testing\nmode: enforce\nmx: a\nmax_age: 1"),
            Ok(StsMode::Testing)
        );
        for bad in [
            "",
            "<html></html>",
            "mode: enforce\nmx: a\nmax_age: 1",
            "version: STSv2\nmode: enforce\nmx: a\nmax_age: 1",
            "version: STSv1\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmx: a",
            "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1",
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad:?}");
        }
        let long = Policy::parse("version: STSv1\nmode: none\nmax_age: 99999999999").unwrap();
        assert_eq!(long.max_age.as_secs(), MAX_AGE);
    }

    #[test]
    fn a_domain_has_one_record_with_an_id() {
        let id = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            record_id(&texts).map(str::to_owned)
        };
        for (texts, expected) in [
            (&["v=STSv1; id=20160831085700Z;"][..], Some("20160831085700Z")),
            (&["v=STSv1;id=a1"], Some("a1")),
            (&["v=spf1 -all", "v=STSv1; id=1; other=x"], Some("1")),
            (&["v=STSv1; id=1", "v=STSv1; id=2"], None),
            (&["v=STSv1"], None),
            (&["v=STSv12; id=1"], None),
            (&["v=STSv1; id="], None),
            (&["v=STSv1; id=a-b"], None),
            (&[], None),
        ] {
            assert_eq!(id(texts).as_deref(), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let patterns = ["mx.example.com".to_owned(), "*.example.net".to_owned()];
        for (host, allowed) in [
            ("mx.example.com", true),
            ("a.example.net", true),
            ("example.net", false),
            ("a.b.example.net", false),
            ("other.example.com", false),
        ] {
            assert_eq!(allows(&patterns, host), allowed, "{host}");
        }
    }
}

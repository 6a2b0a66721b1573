//! Suppression lists as CSV: what the columns are, and what a line says.

use crate::control::suppressions::ShownSuppression;
use actors::ImportEntry;
use csv::ByteRecord;
use mail::{Address, QueueId, Timestamp};
use store::records::{SuppressionRecord, SuppressionSource};

/// The columns of an exported list.
pub(super) const HEADER: [&str; 5] = ["address", "reason", "created", "source", "message"];

/// An entry as a line of an exported list.
pub(super) fn line(entry: &ShownSuppression) -> [String; 5] {
    [
        entry.original_address.clone(),
        entry.reason.clone(),
        entry.created.to_string(),
        entry.source.clone(),
        entry.message.map(|id| id.to_string()).unwrap_or_default(),
    ]
}

/// Where in a line is what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    address: usize,
    reason: Option<usize>,
    created: Option<usize>,
    source: Option<usize>,
    manual: Option<usize>,
    message: Option<usize>,
    /// How many there are.
    count: usize,
}

/// What the first line of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FirstLine {
    /// It names the columns.
    Header(Columns),
    /// It is an address already, as all others are.
    Address(Columns),
}

impl FirstLine {
    /// Recognises it.
    pub(super) fn of(first: &ByteRecord) -> Result<FirstLine, String> {
        let names: Vec<String> =
            first.iter().map(|field| String::from_utf8_lossy(field).trim().to_lowercase()).collect();
        let column = |name: &str| {
            let mut places = names.iter().enumerate().filter(|(_, found)| *found == name);
            match (places.next(), places.next()) {
                (_, Some(_)) => Err(format!("the first line has the column `{name}` twice")),
                (found, None) => Ok(found.map(|(place, _)| place)),
            }
        };
        if let Some(address) = column("address")? {
            return Ok(FirstLine::Header(Columns {
                address,
                reason: column("reason")?,
                created: column("created")?,
                source: column("source")?,
                manual: column("manual")?,
                message: column("message")?,
                count: names.len(),
            }));
        }
        match &names[..] {
            [only] if only.parse::<Address>().is_ok() => Ok(FirstLine::Address(Columns {
                address: 0,
                reason: None,
                created: None,
                source: None,
                manual: None,
                message: None,
                count: 1,
            })),
            _ => Err(
                "the first line neither names the columns, one of them `address`, nor is it just an address"
                    .to_owned(),
            ),
        }
    }
}

impl Columns {
    /// What a line says, or what is wrong with it.
    pub(super) fn entry(&self, line: &ByteRecord) -> Result<ImportEntry, String> {
        if line.iter().skip(self.count).any(|field| !field.is_empty()) {
            let (found, most) = (line.len(), self.count);
            return Err(format!(
                "it has {found} fields where the first line has {most}; quote fields with commas"
            ));
        }
        let field = |place: Option<usize>| -> Result<&str, String> {
            let bytes = place.and_then(|place| line.get(place)).unwrap_or_default();
            str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
        };
        let address = field(Some(self.address))?.trim();
        let reason = field(self.reason)?;
        if reason.len() > SuppressionRecord::REASON_MAX {
            return Err(format!("the reason is longer than {} octets", SuppressionRecord::REASON_MAX));
        }
        let source = match field(self.source)?.trim() {
            "" => manual(field(self.manual)?.trim())?,
            name => source(name, field(self.message)?.trim())?,
        };
        Ok(ImportEntry {
            address: address.parse().map_err(|error| format!("{error}"))?,
            reason: reason.to_owned(),
            created: created(field(self.created)?.trim())?,
            source,
        })
    }
}

fn created(text: &str) -> Result<Option<Timestamp>, String> {
    match text {
        "" => Ok(None),
        _ => Timestamp::parse_rfc3339(text)
            .map(Some)
            .ok_or_else(|| format!("{text:?} is no time as 2026-11-25T10:00:00Z (RFC 3339)")),
    }
}

fn manual(text: &str) -> Result<SuppressionSource, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "true" | "yes" | "1" => Ok(SuppressionSource::Manual),
        "false" | "no" | "0" => Ok(SuppressionSource::Application),
        _ => Err(format!("`manual` is true or false, not {text:?}")),
    }
}

fn source(name: &str, message: &str) -> Result<SuppressionSource, String> {
    let caused_by = |source: fn(QueueId) -> SuppressionSource| match message.parse() {
        Ok(id) => Ok(source(QueueId(id))),
        Err(_) => Err(format!("the source {name:?} needs the id of a queue message in the column `message`")),
    };
    match name.to_ascii_lowercase().as_str() {
        "manual" => Ok(SuppressionSource::Manual),
        "application" => Ok(SuppressionSource::Application),
        "queue" => caused_by(SuppressionSource::Queue),
        "dsn" => caused_by(SuppressionSource::Dsn),
        "complaint" => caused_by(SuppressionSource::Complaint),
        _ => Err(format!("`source` is manual, application, queue, DSN or complaint, not {name:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::SuppressionId;
    use proptest::prelude::*;

    fn columns(first: &[&str]) -> Columns {
        match FirstLine::of(&ByteRecord::from(first.to_vec())) {
            Ok(FirstLine::Header(columns) | FirstLine::Address(columns)) => columns,
            Err(error) => panic!("{error}"),
        }
    }

    fn said(first: &[&str], line: &[&str]) -> Result<ImportEntry, String> {
        columns(first).entry(&ByteRecord::from(line.to_vec()))
    }

    #[test]
    fn the_first_line_names_the_columns_or_is_an_address() {
        for (first, header) in [
            (&["address"][..], true),
            (&["Reason", " ADDRESS "], true),
            (&["id", "address", "other"], true),
            (&["ann@b.example"], false),
            (&[" ann@b.example "], false),
        ] {
            let found = FirstLine::of(&ByteRecord::from(first.to_vec())).unwrap();
            assert_eq!(matches!(found, FirstLine::Header(_)), header, "{first:?}");
        }
        for first in [
            &["ann@b.example", "reason"][..],
            &["email"],
            &["ann"],
            &[""],
            &["address;reason"],
            &["address", "Address"],
        ] {
            assert!(FirstLine::of(&ByteRecord::from(first.to_vec())).is_err(), "{first:?}");
        }
    }

    #[test]
    fn a_line_says_what_its_columns_say() {
        use SuppressionSource::*;
        let time = |text| Timestamp::parse_rfc3339(text).unwrap();
        let first = ["reason", "manual", "address", "created", "message", "source"];
        for (line, reason, created, source) in [
            (&["", "", "ann@b.example"][..], "", None, Manual),
            (&["", "", "ann@b.example", "", "", "", "", ""], "", None, Manual),
            (&[" said, so\n", "false", " ann@b.example "], " said, so\n", None, Application),
            (&["=1+1", "YES", "ann@b.example"], "=1+1", None, Manual),
            (
                &["x", "", "ann@b.example", "2026-11-22T11:00:00+01:00", "", "application"],
                "x",
                Some(time("2026-11-22T10:00:00Z")),
                Application,
            ),
            (&["x", "false", "ann@b.example", "", "", "manual"], "x", None, Manual),
            (&["x", "", "ann@b.example", "", "17", "queue"], "x", None, Queue(QueueId(17))),
            (&["x", "", "ann@b.example", "", "17", "dsn"], "x", None, Dsn(QueueId(17))),
            (&["x", "", "ann@b.example", "", " 17 ", "Complaint"], "x", None, Complaint(QueueId(17))),
        ] {
            let address = "ann@b.example".parse().unwrap();
            let expected = ImportEntry { address, reason: reason.into(), created, source };
            assert_eq!(said(&first, line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let long = "x".repeat(SuppressionRecord::REASON_MAX + 1);
        let first = ["address", "reason", "created", "source", "message", "manual"];
        for (line, said_of_it) in [
            (&[""][..], "empty"),
            (&["ann"], "no @"),
            (&["ann@b.example", &long], "longer"),
            (&["ann@b.example", "", "yesterday"], "RFC 3339"),
            (&["ann@b.example", "", "", "bounce"], "manual, application, queue"),
            (&["ann@b.example", "", "", "queue"], "`message`"),
            (&["ann@b.example", "", "", "dsn", "x"], "`message`"),
            (&["ann@b.example", "", "", "", "", "maybe"], "true or false"),
            (&["ann@b.example", "", "", "", "", "", "more"], "7 fields where the first line has 6"),
        ] {
            let error = said(&first, line).unwrap_err();
            assert!(error.contains(said_of_it), "{line:?}: {error}");
        }
        let latin1 = ByteRecord::from(vec![&b"ann@b.example"[..], b"gr\xfc\xdfe"]);
        assert_eq!(columns(&["address", "reason"]).entry(&latin1), Err("it is not UTF-8".to_owned()));
    }

    fn sources() -> impl Strategy<Value = SuppressionSource> {
        prop_oneof![
            Just(SuppressionSource::Manual),
            Just(SuppressionSource::Application),
            any::<u64>().prop_map(|id| SuppressionSource::Queue(QueueId(id))),
            any::<u64>().prop_map(|id| SuppressionSource::Dsn(QueueId(id))),
            any::<u64>().prop_map(|id| SuppressionSource::Complaint(QueueId(id))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_exported_is_imported_as_it_was(
            address in "[a-zé+.]{1,8}|\"[ -!#-\\[\\]-~]{1,8}\"",
            reason in "\\PC{0,20}|[\",\r\n=@+ ;\u{feff}\u{0}-\u{20}]{0,12}",
            millis in 0_i64..4_000_000_000_000,
            source in sources(),
        ) {
            let Ok(address) = format!("{address}@bücher.example").parse::<Address>() else { return Ok(()) };
            let entry = ImportEntry { address, reason, created: Some(Timestamp::from_millis(millis)), source };
            let shown = ShownSuppression {
                id: SuppressionId(1),
                account: "app".into(),
                base_address: String::new(),
                original_address: entry.address.to_string(),
                created: Timestamp::from_millis(millis),
                source: entry.source.name().into(),
                message: entry.source.message(),
                reason: entry.reason.clone(),
            };
            let mut written = csv::Writer::from_writer(Vec::new());
            written.write_record(HEADER).unwrap();
            written.write_record(line(&shown)).unwrap();
            let written = written.into_inner().unwrap();
            let mut read = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&written[..]);
            let mut records = read.byte_records().map(Result::unwrap);
            let FirstLine::Header(columns) = FirstLine::of(&records.next().unwrap()).unwrap() else { panic!() };
            prop_assert_eq!(columns.entry(&records.next().unwrap()), Ok(entry));
            prop_assert!(records.next().is_none());
        }
    }
}

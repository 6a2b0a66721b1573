//! Reading options out of the tree, with every error collected.

use super::{
    Node, PREFIX, Table, Value,
    environment::list_problem,
    nearest::nearest,
    tree::parse_variable,
    values::{self, kind},
};
use crate::{ConfigError, Located, Origin, Secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    io,
    ops::RangeInclusive,
    path::Path,
    time::Duration,
};

/// What a list must be.
const LIST: &str = "must be a list, as [\"...\", \"...\"]";

/// The text of a file, for secrets that are kept in files.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Collects what reading finds out.
pub(crate) struct Reader<'a> {
    base: &'a Path,
    read_file: ReadFile<'a>,
    errors: Vec<ConfigError>,
    /// Every option that was asked for, by its whole path, list positions left out.
    known: BTreeSet<String>,
    /// What nobody asked for: the path of its section, its name, where it was set.
    unknown: Vec<(String, String, Origin)>,
}

impl<'a> Reader<'a> {
    /// A reader for settings in the directory `base`.
    pub(crate) fn new(base: &'a Path, read_file: ReadFile<'a>, errors: Vec<ConfigError>) -> Reader<'a> {
        Reader { base, read_file, errors, known: BTreeSet::new(), unknown: Vec::new() }
    }

    /// The section that holds all others.
    pub(crate) fn root(&mut self, table: Table) -> Section<'_, 'a> {
        Section::new(self, String::new(), Origin::Default, table)
    }

    /// All errors, with a suggestion for every unknown name.
    pub(crate) fn finish(self) -> Vec<ConfigError> {
        let mut errors = self.errors;
        for (section, name, origin) in self.unknown {
            let problem = unknown_problem(&self.known, &section, &name, &origin);
            errors.push(ConfigError { origin, key: join(&section, &shortened(&name)), problem });
        }
        errors
    }

    #[cfg(test)]
    pub(crate) fn known(&self) -> &BTreeSet<String> {
        &self.known
    }
}

/// A table of options. Reading one takes it out; what is left when the section is dropped is unknown.
///
/// A method that finds an error records it and returns some value of its range, so that reading goes on.
pub(crate) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    path: String,
    origin: Origin,
    table: Table,
    origins: BTreeMap<&'static str, Origin>,
    /// The section itself was of the wrong kind, so that nothing in it is missing.
    broken: bool,
    failed: bool,
}

impl<'r, 'a> Section<'r, 'a> {
    fn new(reader: &'r mut Reader<'a>, path: String, origin: Origin, table: Table) -> Section<'r, 'a> {
        Section { reader, path, origin, table, origins: BTreeMap::new(), broken: false, failed: false }
    }

    /// The directory that relative paths start from.
    pub(crate) fn base(&self) -> &'a Path {
        self.reader.base
    }

    /// Where the section itself was set.
    pub(crate) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Where an option was set that was read already.
    pub(crate) fn place(&self, key: &str) -> Option<Origin> {
        self.origins.get(key).cloned()
    }

    /// Whether the option is set.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the option is set to this text, which is not taken out.
    pub(crate) fn is_text(&self, key: &str, text: &str) -> bool {
        self.table.get(key).is_some_and(|node| values::text(&node.value) == Ok(text))
    }

    /// Whether no error was found up to here, in any section.
    pub(crate) fn all_well(&self) -> bool {
        self.reader.errors.is_empty()
    }

    /// An option that may be absent.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.take(key)?;
        read(&node.value).map_err(|problem| self.fail_at(key, node.origin, problem)).ok()
    }

    /// An option that must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) && !self.broken {
            let origin = self.origin.clone();
            self.fail_at(key, origin, "is missing".to_owned());
        }
        self.optional(key, read)
    }

    /// A whole number.
    pub(crate) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let least = *range.start();
        self.required(key, values::number(range)).unwrap_or(least)
    }

    /// A duration.
    pub(crate) fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Duration {
        let least = *range.start();
        self.required(key, values::duration(range)).unwrap_or(least)
    }

    /// A size in bytes.
    pub(crate) fn size(&mut self, key: &'static str, range: RangeInclusive<u64>) -> u64 {
        let least = *range.start();
        self.required(key, values::size(range)).unwrap_or(least)
    }

    /// A whole number that may be absent.
    pub(crate) fn optional_number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        self.optional(key, values::number(range))
    }

    /// A duration that may be absent.
    pub(crate) fn optional_duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.optional(key, values::duration(range))
    }

    /// A size in bytes that may be absent.
    pub(crate) fn optional_size(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.optional(key, values::size(range))
    }

    /// A list of at most `most` values; empty when absent.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        most: usize,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<T> {
        self.located(key, most, read).into_iter().map(|item| item.value).collect()
    }

    /// As [`Section::list`], each value with its place.
    pub(crate) fn located<T>(
        &mut self,
        key: &'static str,
        most: usize,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<Located<T>> {
        let mut items = Vec::new();
        for Node { value, origin } in self.nodes(key, most, LIST) {
            match read(&value) {
                Ok(value) => items.push(Located { value, origin }),
                Err(problem) => self.fail_at(key, origin, problem),
            }
        }
        items
    }

    /// The waits of a schedule: 1 to 50 durations, each more than nothing.
    pub(crate) fn schedule(&mut self, key: &'static str) -> Vec<Duration> {
        let wait = values::duration(Duration::from_millis(1)..=Duration::from_secs(30 * 86_400));
        let waits = self.list(key, 50, wait);
        self.check(key, !waits.is_empty(), "must have at least one wait");
        waits
    }

    /// A list of sections, at most `most`, each read by `read`.
    pub(crate) fn sections<T>(
        &mut self,
        key: &'static str,
        most: usize,
        mut read: impl FnMut(Section<'_, 'a>) -> Option<T>,
    ) -> Vec<T> {
        let expected = "must be a list of sections, written [[...]]";
        if let Some(Node { value: Value::Table(_), origin: Origin::Variable(name) }) = self.table.get(key) {
            let origin = Origin::Variable(name.clone());
            self.take(key);
            self.fail_at(key, origin, list_problem(key));
            return Vec::new();
        }
        let mut items = Vec::new();
        for node in self.nodes(key, most, expected) {
            match node.value {
                Value::Table(table) => {
                    let section = Section::new(self.reader, join(&self.path, key), node.origin, table);
                    items.extend(read(section));
                }
                other => self.fail_at(key, node.origin, format!("{expected}, not {}", kind(&other))),
            }
        }
        items
    }

    /// A section that has defaults for all its options.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'_, 'a> {
        let (origin, table) = match self.take(key) {
            Some(Node { value: Value::Table(table), origin }) => (origin, Some(table)),
            Some(Node { value, origin }) => {
                self.not_a_section(key, &value, origin.clone());
                (origin, None)
            }
            None => (Origin::Default, Some(Table::new())),
        };
        let broken = table.is_none();
        let mut section = Section::new(self.reader, join(&self.path, key), origin, table.unwrap_or_default());
        section.broken = broken;
        section
    }

    /// A section that may be absent.
    pub(crate) fn optional_section(&mut self, key: &'static str) -> Option<Section<'_, 'a>> {
        match self.take(key)? {
            Node { value: Value::Table(table), origin } => {
                Some(Section::new(self.reader, join(&self.path, key), origin, table))
            }
            Node { value, origin } => {
                self.not_a_section(key, &value, origin);
                None
            }
        }
    }

    /// A secret: in the option `key`, or in the file that `file_key` names, without the line end. Errors do not show it.
    pub(crate) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        self.secret_as(key, file_key, values::text)
    }

    /// As [`Section::secret`], for a text of another form, whose errors do not show it.
    pub(crate) fn secret_as(
        &mut self,
        key: &'static str,
        file_key: &'static str,
        read: fn(&Value) -> Result<&str, String>,
    ) -> Option<Secret> {
        let given = self.optional(key, |value| read(value).map(Secret::new));
        let base = self.base();
        let path = self.optional(file_key, values::path(base));
        if given.is_some() && path.is_some() {
            self.fail(file_key, &format!("cannot go with `{key}`: choose one"));
        }
        let Some(path) = path else { return given };
        match (self.reader.read_file)(&path) {
            Ok(content) => match read(&Value::Raw(content.trim_end_matches(['\r', '\n']).to_owned())) {
                Ok(text) => return Some(Secret::new(text)),
                Err(problem) => self.fail(file_key, &format!("the secret in {} {problem}", path.display())),
            },
            Err(error) => self.fail(file_key, &format!("{} cannot be read: {error}", path.display())),
        }
        None
    }

    /// Records `problem` with `key` unless `holds`. Only judged when the section has no error yet, because a value in
    /// error says nothing about the others.
    pub(crate) fn check(&mut self, key: &'static str, holds: bool, problem: &str) {
        if !holds && !self.failed && !self.broken {
            self.fail(key, problem);
        }
    }

    /// As [`Section::check`], for a rule between two options: points to the place of the one that was set.
    pub(crate) fn check_pair(&mut self, key: &'static str, other: &'static str, holds: bool, relation: &str) {
        if !holds && !self.failed && !self.broken {
            let places = [key, other].map(|key| self.origins.get(key).cloned());
            let set = places.into_iter().flatten().find(|origin| *origin != Origin::Default);
            let problem = format!("must be {relation} {}", join(&self.path, other));
            self.fail_at(key, set.unwrap_or(Origin::Default), problem);
        }
    }

    /// Records `problem` with an option, or with the section where the option is absent.
    pub(crate) fn fail(&mut self, key: &'static str, problem: &str) {
        let origin = self.origins.get(key).unwrap_or(&self.origin).clone();
        self.fail_at(key, origin, problem.to_owned());
    }

    fn fail_at(&mut self, key: &str, origin: Origin, problem: String) {
        self.failed = true;
        self.reader.errors.push(ConfigError { origin, key: join(&self.path, key), problem });
    }

    fn not_a_section(&mut self, key: &str, value: &Value, origin: Origin) {
        let whole = join(&self.path, key);
        let problem = match origin {
            Origin::Variable(_) => format!("is a section; set {}", variable(&join(&whole, "key"))),
            Origin::Line(_) | Origin::Default => format!("must be a section, [{whole}], not {}", kind(value)),
        };
        self.fail_at(key, origin, problem);
    }

    fn nodes(&mut self, key: &'static str, most: usize, expected: &str) -> Vec<Node> {
        let Some(Node { mut value, origin }) = self.take(key) else { return Vec::new() };
        if let (Value::Raw(text), Origin::Variable(name)) = (&value, &origin) {
            value = match parse_variable(text, name) {
                Ok(parsed) => parsed,
                Err(problem) => {
                    self.fail_at(key, origin, format!("{expected}; what is there {problem}"));
                    return Vec::new();
                }
            };
        }
        match value {
            Value::List(items) if items.len() <= most => items,
            Value::List(_) => {
                self.fail_at(key, origin, format!("must have at most {most} entries"));
                Vec::new()
            }
            other => {
                self.fail_at(key, origin, format!("{expected}, not {}", kind(&other)));
                Vec::new()
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Node> {
        self.reader.known.insert(join(&self.path, key));
        let node = self.table.remove(key)?;
        self.origins.insert(key, node.origin.clone());
        Some(node)
    }
}

impl Drop for Section<'_, '_> {
    fn drop(&mut self) {
        for (name, node) in std::mem::take(&mut self.table) {
            // A section that only variables made is best named by them.
            match node {
                Node { value: Value::Table(table), origin: Origin::Variable(_) } => {
                    let inner = join(&self.path, &name);
                    drop(Section::new(self.reader, inner, Origin::Default, table));
                }
                Node { origin, .. } => self.reader.unknown.push((self.path.clone(), name, origin)),
            }
        }
    }
}

fn unknown_problem(known: &BTreeSet<String>, section: &str, name: &str, origin: &Origin) -> String {
    let written = |key: &str| match origin {
        Origin::Variable(_) => variable(key),
        Origin::Line(_) | Origin::Default => key.to_owned(),
    };
    let siblings: Vec<&str> = known.iter().filter_map(|key| child(section, key)).collect();
    let near = nearest(name, siblings.iter().copied());
    let elsewhere = || known.iter().find(|key| key.rsplit('.').next() == Some(name));
    let meant = match near {
        Some((sibling, distance)) if distance <= 2 => join(section, sibling),
        Some((sibling, _)) => elsewhere().cloned().unwrap_or_else(|| join(section, sibling)),
        None => match elsewhere() {
            Some(key) => key.clone(),
            None if siblings.is_empty() => return nearest_of_all(known, &join(section, name), written),
            None => return format!("is not an option; there are {}", siblings.join(", ")),
        },
    };
    format!("is not an option; did you mean {}?", written(&meant))
}

/// For a name in a section that does not exist either.
fn nearest_of_all(known: &BTreeSet<String>, whole: &str, written: impl Fn(&str) -> String) -> String {
    match nearest(whole, known.iter().map(String::as_str)) {
        Some((key, _)) => format!("is not an option; did you mean {}?", written(key)),
        None => "is not an option".to_owned(),
    }
}

/// The name of `key` in `section`, when it stands directly in it.
fn child<'k>(section: &str, key: &'k str) -> Option<&'k str> {
    let rest = match section {
        "" => key,
        _ => key.strip_prefix(section)?.strip_prefix('.')?,
    };
    (!rest.contains('.')).then_some(rest)
}

fn join(section: &str, key: &str) -> String {
    match section {
        "" => key.to_owned(),
        _ => format!("{section}.{key}"),
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// A name from outside, fit for an error.
fn shortened(name: &str) -> String {
    let short: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    if short.len() < name.len() { format!("{short}...") } else { short }
}

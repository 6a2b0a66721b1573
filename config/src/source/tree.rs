//! Settings as a tree that knows where each value was set.

use crate::{ConfigError, Origin};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Deeper than any option; a bound for what recurses over the tree.
const DEPTH_MAX: usize = 8;

pub(crate) type Table = BTreeMap<String, Node>;

/// A value and where it was set.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// From an environment variable: read as whatever the option is.
    Raw(String),
    /// What no option takes, by the name of its kind.
    Other(&'static str),
}

/// Reads a whole TOML document, or says everything that is wrong with its syntax.
pub(crate) fn parse_document(text: &str) -> Result<Table, Vec<ConfigError>> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(document.get_ref(), &lines, 0));
    }
    Err(errors
        .into_iter()
        .map(|error| ConfigError {
            origin: error.span().map_or(Origin::Default, |span| lines.origin(span.start)),
            key: String::new(),
            problem: format!("is not TOML: {}", error.message()),
        })
        .collect())
}

/// Reads the TOML value in an environment variable.
pub(crate) fn parse_variable(text: &str, name: &str) -> Result<Value, String> {
    match DeValue::parse(text) {
        Ok(parsed) => Ok(value(parsed.get_ref(), &Lines::Variable(name), 0)),
        Err(error) => Err(format!("is not TOML: {}", error.message())),
    }
}

/// Lays `above` over `below`: sections are merged option by option, everything else is replaced.
pub(crate) fn overlay(below: &mut Table, above: Table) {
    for (key, node) in above {
        match (below.get_mut(&key), node) {
            (
                Some(Node { value: Value::Table(below), origin }),
                Node { value: Value::Table(above), origin: from },
            ) => {
                *origin = from;
                overlay(below, above);
            }
            (_, node) => {
                below.insert(key, node);
            }
        }
    }
}

/// Turns places in a text into origins.
enum Lines<'a> {
    File(Vec<usize>),
    Variable(&'a str),
}

impl Lines<'_> {
    fn of(text: &str) -> Lines<'static> {
        Lines::File(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    fn origin(&self, offset: usize) -> Origin {
        match self {
            Lines::File(ends) => Origin::Line(ends.partition_point(|end| *end < offset) + 1),
            Lines::Variable(name) => Origin::Variable((*name).to_owned()),
        }
    }
}

fn table(from: &DeTable<'_>, lines: &Lines<'_>, depth: usize) -> Table {
    from.iter()
        .map(|(key, entry)| {
            let node = Node {
                value: value(entry.get_ref(), lines, depth + 1),
                origin: lines.origin(key.span().start),
            };
            (key.get_ref().clone().into_owned(), node)
        })
        .collect()
}

fn value(from: &DeValue<'_>, lines: &Lines<'_>, depth: usize) -> Value {
    match from {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or(Value::Other("a number beyond all bounds"), Value::Integer),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(_) | DeValue::Table(_) if depth > DEPTH_MAX => Value::Other("a deeply nested value"),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Node {
                    value: value(item.get_ref(), lines, depth + 1),
                    origin: lines.origin(item.span().start),
                })
                .collect(),
        ),
        DeValue::Table(entries) => Value::Table(table(entries, lines, depth)),
    }
}

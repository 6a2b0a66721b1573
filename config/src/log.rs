//! `[log]`: what is logged, and how.

use crate::source::{Section, choice};

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important events that are logged.
    pub level: LogLevel,
    /// How an event looks.
    pub format: LogFormat,
}

/// The importance of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed that someone must look at.
    Error,
    /// Something is wrong and was coped with.
    Warn,
    /// What the server does, in outline.
    Info,
    /// What happens to each message.
    Debug,
    /// What happens on each connection.
    Trace,
}

impl LogLevel {
    /// The name in settings, which is also the one that log filters take.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// How an event looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

impl Log {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Log {
        Log {
            level: section.required("level", choice(LEVELS)).unwrap_or(LogLevel::Info),
            format: section.required("format", choice(FORMATS)).unwrap_or(LogFormat::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_called_what_it_is_read_from() {
        for (name, level) in LEVELS {
            assert_eq!(level.as_str(), *name);
        }
    }
}

//! What is wrong with the settings, and where.

use std::{fmt, path::PathBuf};

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the defaults, or nowhere.
    Default,
    /// In the settings file, on this line, counted from 1.
    Line(usize),
    /// In this environment variable.
    Variable(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it was set.
    pub origin: Origin,
    /// The option, as `delivery.port`; empty when the error is not about one.
    pub key: String,
    /// What is wrong and what is allowed. Never holds a secret.
    pub problem: String,
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    path: PathBuf,
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(crate) fn new(path: PathBuf, mut errors: Vec<ConfigError>) -> ConfigErrors {
        errors.sort_by_key(|error| match error.origin {
            Origin::Line(line) => (0, line),
            Origin::Default => (1, 0),
            Origin::Variable(_) => (2, 0),
        });
        ConfigErrors { path, errors }
    }

    /// The errors; there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }
}

/// One error a line, as `postrider.toml:12: delivery.port: must be ...`.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &error.origin {
                Origin::Line(line) => write!(f, "{}:{line}: ", self.path.display())?,
                Origin::Default => write!(f, "{}: ", self.path.display())?,
                Origin::Variable(name) => write!(f, "{name}: ")?,
            }
            if !error.key.is_empty() {
                write!(f, "{}: ", error.key)?;
            }
            f.write_str(&error.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

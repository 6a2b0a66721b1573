//! The directory file: domains and accounts as TOML, for `directory apply`.

mod account;
mod domain;

pub use account::{AccountEntry, AddressEntry, WebhookEntry};
pub use domain::{DkimEntry, DomainEntry};

use crate::{
    ConfigError, ConfigErrors, Origin, Secret,
    settings::{SECRET_FILE_MAX, read_text, unreadable},
    source::{Reader, Section, parse_document, text},
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Larger than that of the settings: there may be many accounts.
const FILE_MAX: u64 = 64 << 20;
/// The most domains, and the most accounts.
const ENTRIES_MAX: usize = 100_000;

/// A value, and where in the file it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub origin: Origin,
}

/// A password as it is given.
#[derive(Clone, Debug)]
pub enum PasswordEntry {
    /// To be hashed.
    Plain(Secret),
    /// The hash, to be taken as it is.
    Hash(Secret),
}

/// What a directory file says. What it says about one entry is within bounds; how entries and what is stored go
/// together is not looked at here.
#[derive(Clone, Debug)]
pub struct DirectoryFile {
    path: PathBuf,
    /// The password of the admin pages; none: it stays as it is.
    pub admin_password: Option<Located<PasswordEntry>>,
    /// The domains, at most 100,000.
    pub domains: Vec<DomainEntry>,
    /// The accounts, at most 100,000.
    pub accounts: Vec<AccountEntry>,
}

impl DirectoryFile {
    /// Reads the file at `path`, at most 64 MiB, and the files that it names; relative paths start from its directory.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, not only the first.
    pub fn load(path: &Path) -> Result<DirectoryFile, ConfigErrors> {
        match read_text(path, FILE_MAX) {
            Ok(text) => DirectoryFile::parse(&text, path, &|path| read_text(path, SECRET_FILE_MAX)),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    /// That this is wrong with it.
    pub fn errors(&self, errors: Vec<ConfigError>) -> ConfigErrors {
        ConfigErrors::new(self.path.clone(), errors)
    }

    fn parse(
        text: &str,
        path: &Path,
        read_file: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<DirectoryFile, ConfigErrors> {
        let refuse = |errors| ConfigErrors::new(path.to_owned(), errors);
        let tree = parse_document(text).map_err(refuse)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut reader = Reader::new(base, read_file, Vec::new());
        let file = DirectoryFile::read(reader.root(tree), path);
        let errors = reader.finish();
        if errors.is_empty() { Ok(file) } else { Err(refuse(errors)) }
    }

    fn read(mut root: Section<'_, '_>, path: &Path) -> DirectoryFile {
        DirectoryFile {
            path: path.to_owned(),
            admin_password: password(
                &mut root,
                ["admin_password", "admin_password_file", "admin_password_hash"],
            ),
            domains: root.sections("domains", ENTRIES_MAX, DomainEntry::read),
            accounts: root.sections("accounts", ENTRIES_MAX, AccountEntry::read),
        }
    }
}

/// A password in the first of the options, in the file that the second one names, or its hash in the third.
fn password(section: &mut Section<'_, '_>, keys: [&'static str; 3]) -> Option<Located<PasswordEntry>> {
    let [plain_key, file_key, hash_key] = keys;
    let plain = section.secret(plain_key, file_key);
    let hash = section.optional(hash_key, |value| text(value).map(Secret::new));
    if plain.is_some() && hash.is_some() {
        section.fail(hash_key, &format!("cannot go with `{plain_key}` or `{file_key}`: choose one"));
    }
    let given = [plain_key, file_key, hash_key].into_iter().find_map(|key| section.place(key));
    let origin = given.unwrap_or(Origin::Default);
    let value = plain.map(PasswordEntry::Plain).or_else(|| hash.map(PasswordEntry::Hash))?;
    Some(Located { value, origin })
}

#[cfg(test)]
mod tests;

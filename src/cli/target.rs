//! Which server a command means.

use super::{Access, Control};
use crate::server;
use anyhow::{Context, bail};
use clap::Args;
use config::Settings;
use std::{
    fmt, fs, io,
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
};

/// Looked for where neither option is given.
const PLACES: [&str; 2] = ["postrider.toml", "/etc/postrider/postrider.toml"];

/// The options by which every command finds its server.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// The server's settings file [default: postrider.toml here, else /etc/postrider/postrider.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Instead of a settings file: the data directory of a localserve
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    dir: Option<PathBuf>,
}

impl ServerArgs {
    /// As if that settings file had been given.
    pub(super) fn of_file(config: PathBuf) -> ServerArgs {
        ServerArgs { config: Some(config), dir: None }
    }

    /// The data directory of the localserve that is meant, if it is one.
    pub(super) fn localserve_dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The server that is meant, by the settings that were given or found.
    ///
    /// # Errors
    /// When there are none, or they are wrong: all that is wrong, with line numbers.
    pub fn target(&self) -> anyhow::Result<Target> {
        if let Some(dir) = &self.dir {
            let settings = Settings { data_dir: dir.clone(), ..Settings::defaults() };
            return Ok(Target { settings, start: Start::Localserve(dir.clone()) });
        }
        let file = match &self.config {
            Some(file) => file.clone(),
            None => find_settings("with --config FILE, or the directory of a localserve with --dir DIR")?,
        };
        let settings = Settings::load(&file, config::environment())?;
        Ok(Target { settings, start: Start::Serve(file) })
    }
}

/// The first settings file of the usual places. `remedy` says how to name another.
pub(super) fn find_settings(remedy: &str) -> anyhow::Result<PathBuf> {
    let found = PLACES.into_iter().map(PathBuf::from).find(|place| place.exists());
    found.with_context(|| {
        format!("there is no settings file: neither {} here nor {}; name it {remedy}", PLACES[0], PLACES[1])
    })
}

/// A server, whether it runs or not.
#[derive(Debug)]
pub struct Target {
    settings: Settings,
    start: Start,
}

/// The command that starts it.
#[derive(Debug)]
enum Start {
    Serve(PathBuf),
    Localserve(PathBuf),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Serve(file) => write!(f, "postrider serve --config {}", file.display()),
            Start::Localserve(dir) => write!(f, "postrider localserve --dir {}", dir.display()),
        }
    }
}

impl Target {
    /// What its operator chose.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The running server.
    ///
    /// # Errors
    /// When none runs, or its socket may not be opened.
    pub fn control(&self) -> anyhow::Result<Control> {
        self.running()?.with_context(|| {
            format!("no server runs on {}; start it with: {}", self.data_dir().display(), self.start)
        })
    }

    /// The running server, or where none runs, its data.
    ///
    /// # Errors
    /// When there is no data yet, or this user may not use it.
    pub fn access(&self) -> anyhow::Result<Access> {
        match self.running()? {
            Some(control) => Ok(Access::Running(control)),
            None => {
                let dir = self.data_dir();
                match fs::metadata(dir) {
                    Ok(metadata) => own(dir, metadata.uid())?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
                        "there is no data directory {} yet; it is made when the server starts: {}",
                        dir.display(),
                        self.start
                    ),
                    Err(error) => bail!("{}: {error}", dir.display()),
                }
                self.open()
            }
        }
    }

    /// As [`Target::access`], but the data directory is made when it is missing.
    ///
    /// # Errors
    /// When this user may not use it.
    pub fn access_or_make(&self) -> anyhow::Result<Access> {
        if self.data_dir().exists() { self.access() } else { self.open() }
    }

    fn open(&self) -> anyhow::Result<Access> {
        let (store, writer) = server::open_store(&self.settings).with_context(|| {
            // A server that starts holds the lock before it answers, and one that stops a little longer.
            "no server answers at its control socket, and its data cannot be opened instead"
        })?;
        Ok(Access::Direct(store, writer))
    }

    fn running(&self) -> anyhow::Result<Option<Control>> {
        let dir = self.data_dir();
        if !dir.exists() {
            return Ok(None);
        }
        let control = Control::new(dir)?;
        match UnixStream::connect(control.path()) {
            Ok(_) => Ok(Some(control)),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                io::ErrorKind::PermissionDenied => bail!(
                    "the control socket in {} may not be opened: give the command as the user that the server runs as, \
                     or as root",
                    dir.display()
                ),
                _ => bail!("the control socket in {} cannot be reached: {error}", dir.display()),
            },
        }
    }

    fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }
}

/// Files that another user makes in the directory would be of no use to the server.
fn own(dir: &Path, owner: u32) -> anyhow::Result<()> {
    if owner != rustix::process::geteuid().as_raw() {
        bail!(
            "{} belongs to another user (id {owner}), and no server runs there; give the command as that user, or start \
             the server first",
            dir.display()
        );
    }
    Ok(())
}

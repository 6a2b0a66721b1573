//! `postrider config`: the settings, checked and explained.

use super::print;
use crate::tls::read_certificate;
use ::config::{Settings, Tls};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// What is done with settings.
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Check a settings file; everything wrong is shown, with its line
    Check {
        /// The file
        file: PathBuf,
    },
    /// Show every option with its default and the reason for it
    Describe,
}

impl ConfigCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            ConfigCommand::Check { file } => {
                let settings = Settings::load(&file, ::config::environment())?;
                if let Tls::Files { cert, key } = &settings.tls {
                    read_certificate(cert, key)?;
                }
                print(&summary(&settings, &file))
            }
            ConfigCommand::Describe => print(::config::describe()),
        }
    }
}

fn summary(settings: &Settings, file: &Path) -> String {
    let hostname = settings.hostname.as_ref();
    let mut lines = vec![
        format!("{}: ok", file.display()),
        format!("  hostname    {}", hostname.map_or("none; serve needs one", |name| name.as_ascii())),
        format!("  data_dir    {}", settings.data_dir.display()),
        match &settings.tls {
            Tls::Off => "  tls         off".to_owned(),
            Tls::Files { cert, .. } => format!("  tls         {}", cert.display()),
            Tls::Acme(acme) => format!("  tls         by ACME from {}", acme.directory),
        },
    ];
    for listener in &settings.http {
        let kind = if listener.tls { "https" } else { "http" };
        lines.push(format!("  {kind:<11} {}", listener.address));
    }
    for listener in &settings.smtp {
        lines.push(format!("  smtp        {}", listener.address));
    }
    if settings.http.is_empty() && settings.smtp.is_empty() {
        lines.push("  no listeners; serve needs one".to_owned());
    }
    let (transports, routes) = (settings.transports.len(), settings.routes.len());
    if transports + routes > 0 {
        lines.push(format!("  {transports} transports, {routes} routes"));
    }
    lines.join("\n")
}

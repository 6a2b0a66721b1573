//! The command line: one file a noun.
//!
//! A command finds its server by [`ServerArgs`], speaks to it by [`Control`], and where none runs, may look into the
//! data directory itself by [`Access`]. What it prints goes through [`OutputArgs`].

mod access;
mod account;
mod act;
mod client;
mod config;
mod deed;
mod directory;
mod domain;
mod edit;
mod hooks;
mod output;
mod page;
mod password;
mod progress;
mod queue;
mod quickstart;
mod selection;
mod serve;
mod suppress;
mod table;
mod target;
mod text;
mod time_bound;
mod webhook_secret;
mod when;

pub use access::Access;
pub use client::Control;
pub use output::{OutputArgs, print};
pub use progress::Progress;
pub use table::Table;
pub use target::{ServerArgs, Target};

use crate::{http, localserve, logging};
use clap::{Parser, Subcommand};
use std::{fmt, process::ExitCode};

/// A self-hosted server for transactional e-mail.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The server
    Serve(serve::ServeArgs),
    /// A complete server for developing against: no configuration, no root, no network
    Localserve(localserve::LocalserveArgs),
    /// Make settings, DKIM keys and a first account, and show the DNS records to add
    Quickstart(quickstart::QuickstartArgs),
    /// The settings: check a file, or show every option
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// All domains and accounts as one file
    #[command(subcommand)]
    Directory(directory::DirectoryCommand),
    /// The domains that mail is sent from
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// The accounts that mail is sent by
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Messages that wait to be sent, their history, and the rules that hold them
    #[command(subcommand)]
    Queue(Box<queue::QueueCommand>),
    /// Addresses to which an account sends nothing
    #[command(subcommand)]
    Suppress(suppress::SuppressCommand),
    /// Webhook calls that are to be made, their history, and calls to try a webhook
    #[command(subcommand)]
    Hooks(Box<hooks::HooksCommand>),
}

/// Does what the command line says. Exit status 0: done; 1: failed; 2: wrong usage.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // One provider for all of TLS; this fails only where it is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let result = actix_rt::System::new().block_on(async {
        match cli.command {
            Command::Serve(args) => args.run().await,
            Command::Localserve(args) => {
                logging::start(&::config::Settings::defaults().log);
                http::count_panics();
                localserve::run(args).await
            }
            Command::Quickstart(args) => args.run().await,
            Command::Config(command) => command.run(),
            Command::Directory(command) => command.run().await,
            Command::Account(command) => command.run().await,
            Command::Domain(command) => command.run().await,
            Command::Queue(command) => command.run().await,
            Command::Suppress(command) => command.run().await,
            Command::Hooks(command) => command.run().await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postrider: {error:#}");
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Wrong usage that only shows when the options are looked at together: ends with status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

//! The `postrider` program.

use clap::{Parser, Subcommand};
use postrider::{http, localserve, logging};
use std::process::ExitCode;

/// Many small allocations a message, on several threads: this allocator takes less of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted server for transactional e-mail.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A complete server for developing against: no configuration, no root, no network
    Localserve(localserve::LocalserveArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(&config::Settings::defaults().log);
    http::count_panics();
    // One provider for all of TLS; this fails only where it is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let result = actix_rt::System::new().block_on(async {
        match cli.command {
            Command::Localserve(args) => localserve::run(args).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postrider: {error:#}");
            ExitCode::FAILURE
        }
    }
}

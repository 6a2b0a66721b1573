//! Passwords that commands are given: never as an argument, which others on the machine can see.

use crate::password::Password;
use anyhow::{Context, ensure};
use clap::Args;
use rand::RngExt;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// Without characters that look like others.
const CHARACTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Of those, far more than can be guessed.
const LENGTH: usize = 22;
/// More than a password may have.
const LINE_MAX: u64 = 4_096;

/// Where a password comes from.
#[derive(Args)]
pub(super) struct PasswordArgs {
    /// Make up a password and print it, instead of reading one from standard input
    #[arg(long)]
    generate: bool,
}

/// A password that was given or made up.
pub(super) struct GivenPassword {
    /// What to hash.
    pub(super) password: Password,
    /// The password itself, to be told once, where it was made up.
    pub(super) made_up: Option<String>,
}

impl PasswordArgs {
    /// Makes one up, or reads a line; on a terminal twice, and without showing it.
    pub(super) fn password(&self) -> anyhow::Result<GivenPassword> {
        if self.generate {
            return made_up();
        }
        let text = if io::stdin().is_terminal() { ask()? } else { line()? };
        let text = text.context("there is no password on standard input; give one there, or --generate")?;
        Ok(GivenPassword { password: Password::new(&text)?, made_up: None })
    }
}

/// A password that nobody can guess.
pub(super) fn made_up() -> anyhow::Result<GivenPassword> {
    let mut random = rand::rng();
    let text: String =
        (0..LENGTH).map(|_| char::from(CHARACTERS[random.random_range(0..CHARACTERS.len())])).collect();
    Ok(GivenPassword { password: Password::new(&text)?, made_up: Some(text) })
}

/// A secret of one line, asked for with `prompt` on a terminal, which does not show it; `None`: there is none.
pub(super) fn given(prompt: &str) -> anyhow::Result<Option<String>> {
    if io::stdin().is_terminal() { hidden(prompt) } else { line() }
}

fn ask() -> anyhow::Result<Option<String>> {
    let first = hidden("Password: ")?;
    ensure!(first == hidden("The same again: ")?, "the two passwords differ; nothing was changed");
    Ok(first)
}

fn hidden(prompt: &str) -> anyhow::Result<Option<String>> {
    let mut error = io::stderr();
    write!(error, "{prompt}")?;
    error.flush()?;
    let quiet = Quiet::start()?;
    let text = line();
    drop(quiet);
    writeln!(error)?;
    text
}

/// The first line of standard input; `None`: it has none.
fn line() -> anyhow::Result<Option<String>> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LINE_MAX).read_line(&mut text);
    read.ok().context("what stands on standard input is not UTF-8")?;
    Ok((!text.is_empty()).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn start() -> anyhow::Result<Quiet> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Quiet(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing either.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

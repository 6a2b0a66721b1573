//! Judges: other people's implementations, in Python and JavaScript, that say whether what Postrider wrote is right.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Gives `input` to a script of tests/python or tests/node; panics with its complaint when it finds fault.
pub(crate) fn judge(script: &str, input: &Value) {
    if let Err(fault) = verdict(script, input) {
        panic!("{script} finds fault:\n{fault}");
    }
}

/// What a script of tests/python or tests/node finds wrong with `input`. A judge that finds nothing wrong ends with the
/// line `ok`, so that one that never ran is not mistaken for one.
pub(crate) fn verdict(script: &str, input: &Value) -> Result<(), String> {
    let mut command = if script.ends_with(".js") { node(script) } else { python(script) };
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the judge runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A judge that gives up early says why on its own.
    let _ = stdin.write_all(input.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the judge ends");
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.success() && said.trim_end().ends_with("ok") {
        true => Ok(()),
        false => Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn python(script: &str) -> Command {
    let mut command = Command::new(judges_program("python"));
    command.arg(Path::new(ROOT).join("tests/python").join(script));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn node(script: &str) -> Command {
    let modules = Path::new(ROOT).join("target/test-node/node_modules");
    assert!(modules.exists(), "{} is missing: run tests/setup", modules.display());
    let mut command = Command::new("node");
    command.arg(Path::new(ROOT).join("tests/node").join(script)).env("NODE_PATH", modules);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A program that `tests/setup` installed.
pub(crate) fn judges_program(name: &str) -> PathBuf {
    let program = Path::new(ROOT).join("target/test-venv/bin").join(name);
    assert!(program.exists(), "{} is missing: run tests/setup", program.display());
    program
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A judge that hears one case after the other.
pub(crate) struct Court {
    child: Child,
    cases: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

impl Court {
    /// Starts a script of tests/python with `--lines`.
    pub(crate) fn open(script: &str) -> Court {
        let mut child = python(script).arg("--lines").spawn().expect("python runs");
        let cases = child.stdin.take().expect("stdin is piped");
        let verdicts = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Court { child, cases, verdicts }
    }

    /// What it finds wrong with a case.
    pub(crate) fn hear(&mut self, case: &Value) -> Result<(), String> {
        writeln!(self.cases, "{case}").expect("the judge listens");
        let mut verdict = String::new();
        self.verdicts.read_line(&mut verdict).expect("the judge speaks");
        match serde_json::from_str(&verdict) {
            _ if verdict == "ok\n" => Ok(()),
            Ok(Value::String(fault)) => Err(fault),
            _ => Err(format!("the judge is gone: {verdict:?}")),
        }
    }
}

impl Drop for Court {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Judges: other people's implementations, in Python, that say whether what Postrider wrote is right.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Gives `input` to a script of tests/python; panics with its complaint when it finds fault. A judge that finds
/// nothing wrong ends with the line `ok`, so that one that never ran is not mistaken for one.
pub(crate) fn judge(script: &str, input: &serde_json::Value) {
    let mut child = Command::new(judges_program("python"))
        .arg(Path::new(ROOT).join("tests/python").join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A judge that gives up early says why on its own.
    let _ = stdin.write_all(input.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.trim_end().ends_with("ok"),
        "{script} finds fault:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program that `tests/setup` installed.
pub(crate) fn judges_program(name: &str) -> PathBuf {
    let program = Path::new(ROOT).join("target/test-venv/bin").join(name);
    assert!(program.exists(), "{} is missing: run tests/setup", program.display());
    program
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

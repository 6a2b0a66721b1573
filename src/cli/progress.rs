//! How far long work has come.

use std::io::{self, IsTerminal, Write};

/// A line on standard error that is written anew again and again, where that is a terminal. Dropped, it is wiped.
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Progress {
        Progress { shown: false }
    }

    /// Shows this instead of what was there.
    pub fn show(&mut self, text: &str) {
        let mut err = io::stderr();
        if err.is_terminal() {
            // What cannot be shown is no reason to stop the work.
            let _ = write!(err, "\r{text}\x1b[K");
            self.shown = true;
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

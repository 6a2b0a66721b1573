//! Where the user of this machine keeps data.

use std::{env, path::PathBuf};

/// The directory for `name` among the user's data: below `XDG_DATA_HOME`, else `~/.local/share`, else the
/// directory for temporary files.
pub fn user_data_dir(name: &str) -> PathBuf {
    let base = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".local/share")))
        .unwrap_or_else(env::temp_dir);
    base.join(name)
}

//! The file of the control socket.

use rustix::{
    fs::{Mode, OFlags},
    process::umask,
};
use std::{
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

/// Its name in the data directory.
const SOCKET: &str = "control.sock";

/// What fits in the address of a unix socket.
const PATH_MAX: usize = 107;

/// A socket that listens. Dropped, its file is removed.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Makes the socket in a data directory whose lock the caller holds, so that one that is there already is left
    /// from a server that was killed. Nobody else may open it, from the first moment on: to be called before other
    /// threads make files, as they get no more permissions meanwhile either.
    ///
    /// # Errors
    /// When it cannot be made; the error names it.
    pub fn bind(data_dir: &Path) -> io::Result<ControlSocket> {
        let path = data_dir.join(SOCKET);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
            Ok(()) | Err(_) => {}
        }
        let short = SocketPath::new(data_dir).map_err(named)?;
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(short.path());
        umask(before);
        let listener = bound.map_err(named)?;
        listener.set_nonblocking(true)?;
        Ok(ControlSocket { listener, path })
    }

    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Whoever removed it was faster.
        let _ = fs::remove_file(&self.path);
    }
}

/// A path by which the socket in a data directory can be bound or connected to, as long as this lives.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    /// Where the real path is too long for an address, this one leads there.
    _dir: Option<OwnedFd>,
}

impl SocketPath {
    /// For the socket in `data_dir`.
    ///
    /// # Errors
    /// When the directory has a long path and cannot be opened.
    pub fn new(data_dir: &Path) -> io::Result<SocketPath> {
        let path = data_dir.join(SOCKET);
        if path.as_os_str().as_bytes().len() <= PATH_MAX {
            return Ok(SocketPath { path, _dir: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(data_dir, flags, Mode::empty())?;
        let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(SOCKET);
        Ok(SocketPath { path, _dir: Some(dir) })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::{fs::PermissionsExt, net::UnixStream};

    #[test]
    fn only_its_user_may_open_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let socket = ControlSocket::bind(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(socket);
        assert!(!dir.path().join(SOCKET).exists(), "it is removed");
    }

    #[test]
    fn a_socket_left_by_a_killed_server_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(dir.path().join(SOCKET)).unwrap());
        let _socket = ControlSocket::bind(dir.path()).unwrap();
        UnixStream::connect(dir.path().join(SOCKET)).unwrap();
    }

    #[test]
    fn a_data_directory_may_have_a_long_path() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("d".repeat(120));
        fs::create_dir(&long).unwrap();
        let socket = ControlSocket::bind(&long).unwrap();
        UnixStream::connect(SocketPath::new(&long).unwrap().path()).unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
    }
}

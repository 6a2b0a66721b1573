//! A server that cannot start says why.

use crate::harness::{Server, refused_start};
use std::net::TcpListener;

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_refused() {
    let server = Server::start().await;
    let dir = server.dir().to_str().expect("UTF-8");
    let (status, said) = refused_start(&["--any-port", "--dir", dir]).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(dir) && said.contains("in use by another postrider process"), "{said}");
    assert_eq!(server.get("/healthz").await.status, 200, "the first one goes on");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let offset = (port - 1080).to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let (status, said) =
        refused_start(&["--port-offset", &offset, "--dir", dir.path().to_str().unwrap()]).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("--port-offset"), "{said}");
}

#[tokio::test]
async fn wrong_usage_ends_with_status_2() {
    for args in [
        &["--any-port", "--port-offset", "1"][..],
        &["--no-such-option"],
        &["--deliver-to", "no address"],
        &["--outgoing-webhook", "ftp://localhost/"],
        &["--outgoing-webhook", ""],
        &["--incoming-webhook", "http://user:password@localhost/"],
        &["--ip", "localhost"],
    ] {
        let (status, said) = refused_start(args).await;
        assert_eq!(status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("error:"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let dir = file.path().join("data");
    let (status, said) = refused_start(&["--any-port", "--dir", dir.to_str().unwrap()]).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(dir.to_str().unwrap()), "{said}");
}

#[tokio::test]
async fn others_on_the_machine_cannot_read_the_directory() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    let mode = std::fs::metadata(server.dir()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

//! What a peer remembers.

use std::net::IpAddr;

/// A message that the peer accepted.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) connection: usize,
    /// The arguments of MAIL, such as `<a@example.org> BODY=8BITMIME`.
    pub(crate) mail: String,
    /// The addresses of the accepted RCPTs.
    pub(crate) recipients: Vec<String>,
    /// The arguments of the accepted RCPTs, such as `<b@example.org> NOTIFY=NEVER`.
    pub(crate) rcpts: Vec<String>,
    /// Whether it came by BDAT.
    pub(crate) chunked: bool,
    /// With CR LF lines, without stuffed dots.
    pub(crate) content: Vec<u8>,
}

impl Delivery {
    /// The value of the first header field of that name, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.content);
        let head = text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    pub(crate) fn message_id(&self) -> String {
        self.header("Message-ID").expect("every message has a Message-ID")
    }

    pub(crate) fn body(&self) -> &[u8] {
        let start =
            self.content.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a header has an end");
        &self.content[start + 4..]
    }
}

/// A connection to the peer.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) from: IpAddr,
    /// The name that the client gave itself last.
    pub(crate) ehlo: String,
    pub(crate) tls: Option<PeerTls>,
    /// Who logged in.
    pub(crate) login: Option<String>,
    /// Every command line, without passwords.
    pub(crate) commands: Vec<String>,
}

/// TLS as the peer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerTls {
    /// Such as `TLSv1_3`.
    pub(crate) version: String,
    /// The server name that the client asked for.
    pub(crate) sni: Option<String>,
}

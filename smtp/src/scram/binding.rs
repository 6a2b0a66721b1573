//! Channel bindings: what ties a login to the TLS connection that it is made in (RFC 5056, RFC 5929, RFC 9266).

/// What is known of the TLS connection that a login can be tied to. Both may be missing, as with TLS that somebody else
/// terminates; then SCRAM-SHA-256-PLUS is not offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266): keying material exported with the label `EXPORTER-Channel-Binding` and no context.
    /// Only from TLS 1.3, or TLS 1.2 with the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 section 4): the hash of the server's certificate, by the hash function of its
    /// signature, or by SHA-256 in place of MD5 and SHA-1.
    pub end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// Whether there is anything to tie a login to.
    pub(crate) fn any(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// The octets of the binding with this name.
    pub(crate) fn named(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(|octets| &octets[..]),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}

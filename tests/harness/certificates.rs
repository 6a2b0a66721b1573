//! Certificates made for a test, good ones and bad ones.

use aws_lc_rs::digest::{SHA256, digest};
use postrider::tls::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{fs, path::PathBuf, sync::Arc};
use tempfile::TempDir;

/// An authority that nobody trusts unless told.
pub(crate) struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
    dir: TempDir,
}

impl TestCa {
    pub(crate) fn new() -> TestCa {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority of tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("ca.pem"), &pem).expect("room on the disk");
        TestCa { issuer: Issuer::new(params, key), der, pem, dir }
    }

    /// The authority's certificate, as a file for those who are to trust it.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Valid for these names.
    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        self.sign(leaf(names))
    }

    /// For these names, valid until some years ago.
    pub(crate) fn expired(&self, names: &[&str]) -> Identity {
        let mut params = leaf(names);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// The end of TLSA records for this authority: `1` is the SHA-256 of its key.
    pub(crate) fn spki_sha256(&self) -> String {
        hex(&self.issuer.key().subject_public_key_info())
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            pem: format!("{}{}", certificate.pem(), self.pem),
            chain: vec![certificate.der().clone(), self.der.clone()],
            key,
        }
    }
}

/// A certificate, its issuer's where there is one, and its key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Identity {
    /// Signed by nobody but itself.
    pub(crate) fn self_signed(names: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = leaf(names).self_signed(&key).expect("a certificate");
        Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
    }

    /// For listeners of a Postrider in this process.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key that was just written");
        let key = CertifiedKey::from_der(self.chain.clone(), key, &default_provider());
        // Listeners take the provider of the process, as that of the program does.
        let _ = default_provider().install_default();
        let certificate = Arc::<Certificate>::default();
        certificate.set(key.expect("the key is that of the certificate"));
        certificate
    }

    /// What a client needs that trusts nothing else, and speaks only these versions of TLS.
    pub(crate) fn trusting(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        trusting(self.chain.last().expect("a certificate").clone(), versions)
    }

    /// What a TLS server with it needs.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_of(rustls::ALL_VERSIONS)
    }

    /// The same, speaking only these versions of TLS.
    pub(crate) fn server_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key that was just written");
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_protocol_versions(versions)
            .expect("the provider has ciphers for them")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .expect("the key is that of the certificate");
        Arc::new(config)
    }

    /// What follows `3 1 1` in a TLSA record: the SHA-256 of its key.
    pub(crate) fn spki_sha256(&self) -> String {
        hex(&self.key.subject_public_key_info())
    }

    /// The chain, for programs that read files.
    pub(crate) fn chain_pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// What a client needs that trusts only the certificate in this file.
pub(crate) fn trusting_file(file: &str) -> Arc<ClientConfig> {
    let certificate = CertificateDer::from_pem_file(file).expect("a certificate");
    trusting(certificate, rustls::ALL_VERSIONS)
}

fn trusting(
    certificate: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("it can be trusted");
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(versions)
        .expect("the provider has ciphers for them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("good names");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

use super::*;
use aws_lc_rs::{digest, hmac, pbkdf2};

pub(crate) struct AwsLc;

impl Sha256 for AwsLc {
    fn digest(&self, octets: &[u8]) -> [u8; 32] {
        digest::digest(&digest::SHA256, octets).as_ref().try_into().unwrap()
    }

    fn hmac(&self, key: &[u8], octets: &[u8]) -> [u8; 32] {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), octets).as_ref().try_into().unwrap()
    }

    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> [u8; 32] {
        let mut out = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut out);
        out
    }
}

#[test]
fn a_name_is_read_as_it_was_written() {
    for (name, encoded) in [("user", "user"), ("a=b,c", "a=3Db=2Cc"), ("=", "=3D"), ("jürgen", "jürgen")] {
        assert_eq!(encode_name(name), encoded);
        assert_eq!(decode_name(encoded).as_deref(), Some(name));
    }
    for bad in ["a=", "a=2", "a=2c", "a=41", "a==3D", "=ü"] {
        assert_eq!(decode_name(bad), None, "{bad}");
    }
}

/// What a server keeps of this password, with the salt and the iterations of the example in RFC 7677.
pub(crate) fn keys(password: &str) -> ScramServerKeys {
    let salt = b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81".to_vec();
    let salted = AwsLc.pbkdf2(password.as_bytes(), &salt, NonZeroU32::new(4_096).unwrap());
    ScramServerKeys {
        salt,
        iterations: 4_096,
        stored_key: AwsLc.digest(&AwsLc.hmac(&salted, b"Client Key")),
        server_key: AwsLc.hmac(&salted, b"Server Key"),
    }
}

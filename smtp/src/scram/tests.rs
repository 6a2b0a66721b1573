use super::*;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// The last message of a client, for `bare` as the first one without its header, and with `bound` as the header and the
/// channel binding.
pub(crate) fn client_final(password: &str, bound: &[u8], bare: &str, server_first: &str) -> String {
    let part = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
    let without_proof = format!("c={},r={}", STANDARD.encode(bound), part("r="));
    let signed = [bare, server_first, &without_proof].join(",");
    let iterations = part("i=").parse().unwrap();
    let salted = AwsLc.pbkdf2(password.as_bytes(), &STANDARD.decode(part("s=")).unwrap(), iterations);
    let client_key = AwsLc.hmac(&salted, b"Client Key");
    let proof = xor(&client_key, &AwsLc.hmac(&AwsLc.digest(&client_key), signed.as_bytes()));
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

/// What a server with these keys makes of a client.
fn judge(client: &mut Scram, keys: ScramServerKeys) -> Verdict {
    let bindings = ChannelBindings::default();
    let first = ClientFirst::parse(client.client_first().as_bytes(), false, &bindings, &AwsLc).unwrap();
    let challenged = first.challenge(keys, "server");
    let last = client.respond(challenged.server_first().as_bytes()).unwrap();
    challenged.judge(last.as_bytes()).unwrap()
}

#[test]
fn client_and_server_agree_on_who_knows_the_password() {
    for (username, password) in [("user", "pencil"), ("a=b,c", "p=,a\\ "), ("jürgen", "paßwort")] {
        let mut client = Scram::new(username, password, "client", &AwsLc);
        let Verdict::Proven { server_final } = judge(&mut client, keys(password)) else {
            panic!("not proven")
        };
        assert_eq!(client.respond(server_final.as_bytes()), Ok(String::new()));
        assert!(client.is_proven());

        let mut client = Scram::new(username, password, "client", &AwsLc);
        assert_eq!(judge(&mut client, keys("another")), Verdict::Disproved);
    }
}

//! What DMARC says about incoming mail, beside what the PyPI package `dmarc` says.

use crate::harness::{Exchanger, judge};
use mail::{DkimKey, DkimSigner};
use serde_json::{Value, json};
use std::sync::Arc;

/// Domains and their records of DMARC.
const RECORDS: [(&str, &str); 30] = [
    ("rej.test", "v=DMARC1; p=reject"),
    ("quar.test", "v=DMARC1; p=quarantine"),
    ("watch.test", "v=DMARC1; p=none; rua=mailto:a@watch.test"),
    ("below.test", "v=DMARC1; p=none; sp=reject"),
    ("above.test", "v=DMARC1; p=reject; sp=none"),
    ("belowq.test", "v=DMARC1; p=reject; sp=quarantine"),
    ("strict.test", "v=DMARC1; p=reject; adkim=s; aspf=s"),
    ("strictdkim.test", "v=DMARC1; p=reject; adkim=s"),
    ("strictspf.test", "v=DMARC1; p=reject; aspf=s"),
    ("relaxed.test", "v=DMARC1; p=reject; adkim=r; aspf=r"),
    ("pct.test", "v=DMARC1; p=reject; pct=0"),
    ("trying.test", "v=DMARC1; p=reject; t=y"),
    ("tryingq.test", "v=DMARC1; p=quarantine; t=y"),
    ("nottrying.test", "v=DMARC1; p=reject; t=n"),
    ("written.test", "v=DMARC1;P=Reject ; ASPF = S;"),
    ("own.test", "v=DMARC1; p=reject"),
    ("sub.own.test", "v=DMARC1; p=none"),
    ("two.test", "v=DMARC1; p=reject"),
    ("two.test", "v=DMARC1; p=none"),
    ("two.own.test", "v=DMARC1; p=none"),
    ("two.own.test", "v=DMARC1; p=quarantine"),
    ("beside.test", "hello"),
    ("beside.test", "v=DMARC1; p=reject"),
    ("other.test", "v=DMARC2; p=reject"),
    ("nopolicy.test", "v=DMARC1; adkim=s"),
    ("shop.co.test", "v=DMARC1; p=reject"),
    ("mid.deep.test", "v=DMARC1; p=reject"),
    ("branch.deep.test", "v=DMARC1; p=reject; psd=n"),
    ("co.test", "v=DMARC1; p=none; psd=y"),
    ("xn--bcher-kva.test", "v=DMARC1; p=reject"),
];
/// Under which names belong to different people.
const SUFFIXES: [&str; 2] = ["test", "co.test"];
/// Whose DKIM keys are in DNS.
const SIGNERS: [&str; 8] = [
    "rej.test",
    "news.rej.test",
    "strict.test",
    "news.strict.test",
    "news.strictdkim.test",
    "news.strictspf.test",
    "notrej.test",
    "xn--bcher-kva.test",
];

/// Its name is the domain of SPF where MAIL FROM is empty.
const CLIENT: &str = "news.rej.test";

/// A message and who stands for it.
struct Case {
    /// The domain in From.
    from: &'static str,
    /// SPF passes where the localpart is `pass`, and with an empty path.
    mail_from: &'static str,
    /// Who signed, in a way that verifies.
    signers: &'static [&'static str],
    /// Who signed another body.
    broken: &'static [&'static str],
    /// The judge finds organizational domains by a list of suffixes (RFC 7489), we by what their owners say in DNS
    /// (RFC 9989).
    differs: bool,
}

#[tokio::test]
async fn results_and_policies_are_those_of_another_implementation() {
    let cases = cases();
    let keys = Keys::new();
    let mx = Exchanger::start(&zone(&cases, &keys)).await;
    let mut judged = Vec::new();
    for case in &cases {
        let answer = mx.offer(CLIENT, case.mail_from, &["rider@localhost"], &keys.message(case)).await;
        judged.push(case.as_json(&said(&mx, &answer).await));
    }
    let results: Vec<_> = judged.iter().map(|case| case["said"]["result"].clone()).collect();
    for result in ["pass", "fail", "none"] {
        assert!(results.contains(&json!(result)), "there is no {result} among {results:?}");
    }
    judge("check_dmarc.py", &json!({"records": RECORDS, "suffixes": SUFFIXES, "cases": judged}));
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let unsigned = |from, mail_from| Case { from, mail_from, signers: &[], broken: &[], differs: false };
    let signed = |from, signers| Case { signers, ..unsigned(from, "pass@absent.test") };
    vec![
        // Alignment with MAIL FROM.
        unsigned("rej.test", "pass@rej.test"),
        unsigned("rej.test", "fail@rej.test"),
        unsigned("rej.test", "pass@news.rej.test"),
        unsigned("rej.test", "fail@news.rej.test"),
        unsigned("rej.test", "pass@notrej.test"),
        unsigned("rej.test", ""),
        unsigned("Rej.Test", "pass@REJ.test"),
        unsigned("news.rej.test", "pass@rej.test"),
        unsigned("a.rej.test", "pass@b.rej.test"),
        unsigned("a.b.c.rej.test", "pass@rej.test"),
        unsigned("a.b.c.rej.test", "pass@absent.test"),
        unsigned("quar.test", "pass@quar.test"),
        unsigned("watch.test", "pass@watch.test"),
        // Alignment with signatures.
        signed("rej.test", &["rej.test"]),
        signed("rej.test", &["news.rej.test"]),
        signed("news.rej.test", &["rej.test"]),
        signed("rej.test", &["notrej.test"]),
        signed("rej.test", &["notrej.test", "rej.test"]),
        Case { broken: &["rej.test"], ..signed("rej.test", &[]) },
        Case { broken: &["rej.test"], ..signed("rej.test", &["news.rej.test"]) },
        Case { broken: &["rej.test"], ..signed("rej.test", &["notrej.test"]) },
        Case { mail_from: "fail@rej.test", ..signed("rej.test", &["rej.test"]) },
        Case { broken: &["rej.test"], ..unsigned("rej.test", "pass@rej.test") },
        signed("bücher.test", &["xn--bcher-kva.test"]),
        signed("xn--bcher-kva.test", &["rej.test"]),
        // Strict alignment.
        unsigned("strict.test", "pass@strict.test"),
        unsigned("strict.test", "pass@news.strict.test"),
        signed("strict.test", &["strict.test"]),
        signed("strict.test", &["news.strict.test"]),
        unsigned("strictdkim.test", "pass@news.strictdkim.test"),
        signed("strictdkim.test", &["news.strictdkim.test"]),
        unsigned("strictspf.test", "pass@news.strictspf.test"),
        signed("strictspf.test", &["news.strictspf.test"]),
        unsigned("relaxed.test", "pass@news.relaxed.test"),
        // What is wanted of names with a record, and below them.
        unsigned("quar.test", "pass@absent.test"),
        unsigned("watch.test", "pass@absent.test"),
        unsigned("below.test", "pass@absent.test"),
        unsigned("news.below.test", "pass@absent.test"),
        unsigned("above.test", "pass@absent.test"),
        unsigned("news.above.test", "pass@absent.test"),
        unsigned("news.belowq.test", "pass@absent.test"),
        unsigned("own.test", "pass@absent.test"),
        unsigned("sub.own.test", "pass@absent.test"),
        unsigned("sub.own.test", "pass@own.test"),
        // Percentages are no more (RFC 9989, appendix A.6), tests are.
        unsigned("pct.test", "pass@absent.test"),
        unsigned("trying.test", "pass@absent.test"),
        unsigned("tryingq.test", "pass@absent.test"),
        unsigned("nottrying.test", "pass@absent.test"),
        unsigned("trying.test", "pass@trying.test"),
        // Records, and what is none.
        unsigned("written.test", "pass@news.written.test"),
        unsigned("written.test", "pass@written.test"),
        unsigned("two.test", "pass@absent.test"),
        unsigned("sub.two.test", "pass@absent.test"),
        unsigned("two.own.test", "pass@absent.test"),
        unsigned("beside.test", "pass@absent.test"),
        unsigned("other.test", "pass@absent.test"),
        unsigned("nopolicy.test", "pass@absent.test"),
        unsigned("absent.test", "pass@absent.test"),
        unsigned("sub.absent.test", "pass@rej.test"),
        // Shops below a common suffix.
        unsigned("shop.co.test", "pass@shop.co.test"),
        unsigned("shop.co.test", "pass@news.shop.co.test"),
        unsigned("shop.co.test", "pass@thief.co.test"),
        unsigned("news.shop.co.test", "pass@absent.test"),
        Case { differs: true, ..unsigned("thief.co.test", "pass@shop.co.test") },
        // Where owners say other things than the list.
        Case { differs: true, ..unsigned("news.mid.deep.test", "pass@absent.test") },
        Case { differs: true, ..unsigned("sub.branch.deep.test", "pass@deep.test") },
    ]
}

/// The names of the cases. SPF of a domain passes for localparts that spf.test knows.
fn zone(cases: &[Case], keys: &Keys) -> String {
    let mut domains: Vec<_> = cases.iter().map(Case::spf_domain).collect();
    domains.sort_unstable();
    domains.dedup();
    let spf = domains.iter().map(|domain| format!("{domain} TXT \"v=spf1 exists:%{{l}}.spf.test -all\"\n"));
    let dmarc = RECORDS.iter().map(|(owner, text)| format!("_dmarc.{owner} TXT \"{text}\"\n"));
    let known = ["pass.spf.test A 127.0.0.2\n", "postmaster.spf.test A 127.0.0.2\n"].map(str::to_owned);
    spf.chain(dmarc).chain(known).chain([keys.records.clone()]).collect()
}

/// The result, and the policy that counts where nothing is aligned, as they are told.
async fn said(mx: &Exchanger, answer: &str) -> Value {
    if answer.starts_with("550 5.7.1") {
        return json!({"result": "fail", "policy": "reject"});
    }
    assert!(answer.starts_with("250"), "{answer}");
    let taken = mx.newest().await;
    let told = taken.results_of("dmarc")[0];
    let policy = told.split_once("policy.dmarc=").map_or("none", |(_, policy)| policy);
    json!({"result": told.split(' ').next(), "policy": policy})
}

impl Case {
    fn spf_domain(&self) -> String {
        self.mail_from.split_once('@').map_or(CLIENT, |(_, domain)| domain).to_lowercase()
    }

    fn as_json(&self, said: &Value) -> Value {
        let spf = if self.mail_from.starts_with("fail") { "fail" } else { "pass" };
        let of =
            |signers: &'static [&'static str], result| signers.iter().map(move |&domain| (domain, result));
        let dkim: Vec<_> = of(self.signers, "pass").chain(of(self.broken, "fail")).collect();
        json!({
            "what": format!("{} by {:?}, {:?} and {:?}", self.from, self.mail_from, self.signers, self.broken),
            "from": self.from.to_lowercase().replace("bücher", "xn--bcher-kva"), "spf": (self.spf_domain(), spf),
            "dkim": dkim, "said": said, "differs": self.differs,
        })
    }
}

/// The keys of those who sign.
struct Keys {
    signers: Vec<(&'static str, DkimSigner)>,
    records: String,
}

impl Keys {
    fn new() -> Keys {
        let mut keys = Keys { signers: Vec::new(), records: String::new() };
        for domain in SIGNERS {
            let key = DkimKey::from_pkcs8_der(&DkimKey::generate_ed25519().expect("a key")).expect("a key");
            keys.records += &format!("s._domainkey.{domain} TXT \"{}\"\n", key.dns_record());
            let signer = DkimSigner::new(domain.parse().expect("a domain"), "s", Arc::new(key));
            keys.signers.push((domain, signer.expect("a selector")));
        }
        keys
    }

    fn message(&self, case: &Case) -> String {
        let content = format!("From: A <a@{}>\r\nSubject: hello\r\n\r\nhi\r\n", case.from);
        let whole = case.signers.iter().map(|signer| self.sign(signer, &content));
        let broken = case.broken.iter().map(|signer| self.sign(signer, &content.replace("hi", "ho")));
        whole.chain(broken).chain([content.clone()]).collect()
    }

    fn sign(&self, domain: &str, content: &str) -> String {
        let (_, signer) = self.signers.iter().find(|(owner, _)| *owner == domain).expect("a key");
        String::from_utf8(signer.sign(content.as_bytes()).expect("a signature")).expect("ASCII")
    }
}

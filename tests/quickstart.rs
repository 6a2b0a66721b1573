//! `quickstart`: from nothing to a server that can be used, and its DNS records.

use crate::harness::{DnsServer, Fault, Site, message};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

/// The lines about the first record that begins so: its comments and the record.
fn record<'t>(said: &'t str, start: &str) -> &'t str {
    let mut blocks = said.split("\n\n");
    blocks
        .find(|block| block.lines().any(|line| line.trim_start_matches("; ").starts_with(start)))
        .unwrap_or_else(|| panic!("{start}: {said}"))
}

async fn dns() -> DnsServer {
    DnsServer::start(
        "mail.example.com  A    192.0.2.25
         example.com       MX   10 elsewhere.example.
         example.com       TXT  \"v=spf1 a:mail.example.com -all\"
         25.2.0.192.in-addr.arpa PTR mail.example.com.",
    )
    .await
}

fn site(dns: &DnsServer) -> Site {
    Site::new("").env("POSTRIDER__DNS__NAMESERVERS", &format!("[\"{}\"]", dns.address()))
}

// The name server is served while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn it_says_which_dns_records_are_there_right_wrong_or_not_known() {
    let dns = dns().await;
    dns.fault("_dmarc.example.com", "TXT", Fault::ServFail);
    let site = site(&dns);
    let said = site.ok(&["quickstart", "example.com", "me@example.com", "--dir", "new"]);
    for (start, finding) in [
        ("mail.example.com. IN A 192.0.2.25", "ok"),
        ("25.2.0.192.in-addr.arpa. IN PTR mail.example.com.", "ok"),
        ("mail.example.com. IN AAAA", "not there"),
        ("example.com. IN MX 10 mail.example.com.", "WRONG: mail goes to 10 elsewhere.example"),
        ("example.com. IN TXT \"v=spf1", "ok"),
        ("ed2", "MISSING"),
        ("rsa2", "MISSING"),
        ("_dmarc.example.com. IN TXT", "not known, the lookup failed"),
        ("_mta-sts.example.com. IN TXT", "not there"),
        ("_smtp._tls.example.com. IN TXT", "not there"),
    ] {
        let block = record(&said, start);
        assert!(block.contains(&format!("; {finding}")), "{start}: {block}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_added_are_found_right() {
    let dns = dns().await;
    let site = site(&dns);
    site.ok(&["quickstart", "example.com", "me@example.com", "--dir", "new"]);
    let check = ["domain", "check", "example.com", "--config", "new/postrider.toml"];
    let said = site.fails(&check, 1);
    assert!(said.contains("DNS records that mail needs are not as they should be"), "{said}");
    let zone: String = site
        .run(&check)
        .stdout
        .lines()
        .filter(|line| !line.starts_with(';'))
        .map(|line| format!("{}\n", line.replacen(". IN ", ". 60 IN ", 1)))
        .collect();
    dns.put(&zone);
    let checked: Value = serde_json::from_str(&site.ok(&[&check[..], &["--json"]].concat())).expect("JSON");
    for record in checked.as_array().expect("a list").iter().filter(|record| record["required"] == true) {
        assert_eq!(record["status"], "right", "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_it_made_can_be_used_and_nothing_is_written_over() {
    let dns = dns().await;
    let site = site(&dns);
    let said = site.ok(&["quickstart", "example.com", "me@example.com", "--dir", "new"]);
    let password = said.split("password ").nth(1).and_then(|rest| rest.lines().next()).expect("a password");
    for entry in fs::read_dir(site.path("new/dkim")).expect("keys") {
        let mode = entry.expect("an entry").metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = site.ok(&["directory", "export", "--config", "new/postrider.toml"]);
    let again = site.fails(&["quickstart", "example.com", "me@example.com", "--dir", "new"], 1);
    assert!(again.contains("writes over nothing") && again.contains("postrider domain check"), "{again}");
    assert_eq!(site.ok(&["directory", "export", "--config", "new/postrider.toml"]), before);

    site.ok(&["config", "check", "new/postrider.toml"]);
    let site = site
        .env("POSTRIDER__DATA_DIR", "new/data")
        .env("POSTRIDER__HOSTNAME", "mail.example.com")
        .env("POSTRIDER__HTTP", "[{ address = \"127.0.0.1:0\", services = [\"webapi\"] }]");
    let serve = site.serve().await;
    serve.api("me@example.com", password).ok("Send", &message()).await;
    assert!(!serve.log().contains(password), "passwords are not logged");
}

//! Commands for domains and accounts: over the running server, and on its data where none runs.

use crate::harness::{Site, message};
use serde_json::{Value, json};
use std::fs;

const SETTINGS: &str = "hostname = \"mail.example.com\"\n\
    [dns]\nnameservers = [\"127.0.0.1:1\"]\n\
    [[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\n\
    [[transports]]\nname = \"relay\"\nfail = { code = 450, text = \"4.7.1 later\" }\n";

const DIRECTORY: &str = r#"
admin_password = "operator-secret"

[[domains]]
name = "example.com"
catchall_separator = "+"
dkim = [{ selector = "s1", private_key_file = "s1.pem" }]

[[accounts]]
name = "app"
full_name = "Example App"
password = "app-secret"
addresses = ["app@example.com", "@example.com"]
from_id_login_addresses = ["app@example.com"]
keep_retired_messages = "36h"
max_outgoing_messages_per_day = 1000
mailbox_quota = "1GiB"
outgoing_webhook = { url = "https://hooks.example/", authorization = "Bearer hook-secret", events = ["failed", "delivered"] }
routes = [{ transport = "relay", to_domains = [".example.org"], minimum_attempts = 1 }]

[[accounts]]
name = "other"
password_file = "other.password"
addresses = ["other@example.com"]
disabled = true
"#;
const SECRETS: [&str; 5] = ["operator-secret", "app-secret", "hook-secret", "other-secret", "PRIVATE KEY"];

fn site() -> Site {
    let site = Site::new(SETTINGS);
    site.write("s1.pem", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n");
    site.write("other.password", "other-secret\n");
    site.write("directory.toml", DIRECTORY);
    site
}

#[track_caller]
fn without_secrets(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is shown: {text}");
    }
}

#[tokio::test]
async fn a_directory_is_applied_once_with_and_without_a_server() {
    for running in [false, true] {
        let site = site();
        let mut serve = if running { Some(site.serve().await) } else { None };
        let said = site.ok(&["directory", "apply", "directory.toml", "--dry-run"]);
        assert!(said.ends_with("nothing was changed: this was a dry run\n"), "{said}");
        let said = site.ok(&["directory", "apply", "directory.toml"]);
        without_secrets(&said);
        assert_eq!(
            said,
            "added admin password\nadded domain example.com\nadded account app\nadded account other\n"
        );
        assert_eq!(site.ok(&["directory", "apply", "directory.toml"]), "nothing to change\n", "{running}");
        assert_eq!(site.ok(&["directory", "apply", "directory.toml", "--json"]), "[]\n");
        if let Some(serve) = &mut serve {
            without_secrets(&serve.log());
            assert!(serve.terminate().await.success());
        }
    }
}

#[tokio::test]
async fn what_is_exported_changes_nothing_and_makes_another_server_the_same() {
    let (one, other) = (site(), site());
    one.ok(&["directory", "apply", "directory.toml"]);
    let exported = one.ok(&["directory", "export"]);
    for secret in ["app-secret", "other-secret", "operator-secret"] {
        assert!(!exported.contains(secret), "passwords are hashed");
    }
    let header = exported.lines().take(2).collect::<Vec<_>>().join("\n");
    assert!(header.contains("It holds secrets"), "{header}");
    one.write("exported.toml", &exported);
    assert_eq!(one.ok(&["directory", "apply", "exported.toml"]), "nothing to change\n");

    let _serve = other.serve().await;
    other.write("exported.toml", &exported);
    other.ok(&["directory", "apply", "exported.toml"]);
    assert_eq!(other.ok(&["directory", "export"]), exported);
}

#[tokio::test]
async fn a_running_server_goes_by_the_change_at_once() {
    let site = site();
    let serve = site.serve().await;
    let call = async |password: &str| {
        let api = serve.api("app@example.com", password);
        api.call("Send", &message()).await.expect("the server answers").status
    };
    assert_eq!(call("app-secret").await, 401);
    site.ok(&["directory", "apply", "directory.toml"]);
    assert_eq!(call("app-secret").await, 200);
    site.write("directory.toml", &DIRECTORY.replace("app-secret", "new-secret").replace("36h", "0s"));
    let said = site.ok(&["directory", "apply", "directory.toml", "--json"]);
    let steps: Value = serde_json::from_str(&said).expect("JSON");
    let expected = json!([{
        "action": "changed", "kind": "account", "name": "app", "options": ["password", "keep_retired_messages"]
    }]);
    assert_eq!(steps, expected);
    assert_eq!((call("app-secret").await, call("new-secret").await), (401, 200));
    site.ok(&["account", "disable", "app"]);
    assert_ne!(call("new-secret").await, 200);
    site.ok(&["account", "enable", "app"]);
    site.ok_with(&["account", "password", "app"], "third-secret\n");
    assert_eq!(call("third-secret").await, 200);
}

#[test]
fn only_pruning_removes_what_the_file_does_not_name() {
    let site = site();
    site.ok(&["directory", "apply", "directory.toml"]);
    site.write("empty.toml", "[[domains]]\nname = \"example.com\"\n");
    assert_eq!(site.ok(&["directory", "apply", "empty.toml"]), "nothing to change\n");
    let said = site.ok(&["directory", "apply", "empty.toml", "--prune"]);
    assert_eq!(said, "removed account app\nremoved account other\n");
    assert_eq!(site.ok(&["account", "list", "--json"]), "[]\n");
    let selectors = site.ok(&["domain", "list"]);
    assert!(selectors.contains("s1"), "keys stay: {selectors}");
}

#[test]
fn everything_wrong_in_a_file_is_told_with_its_line_and_nothing_is_applied() {
    let site = site();
    for (text, expected) in [
        (
            "[[domains]]\nname = \"example.com\"\ndisable = true\n",
            "bad.toml:3: domains.disable: is not an option; did you mean domains.disabled?",
        ),
        (
            "[[domains]]\nname = \"a.example\"\n[[domains]]\nname = \"A.example\"\n",
            "bad.toml:3: domains.name: a.example is there twice",
        ),
        (
            "[[accounts]]\nname = \"a\"\npassword = \"p\"\naddresses = [\n\"a@nowhere.example\",\n]\n",
            "bad.toml:5: accounts.addresses: a@nowhere.example: the domain nowhere.example is not there; add it first",
        ),
        (
            "[[domains]]\nname = \"a.example\"\n[[accounts]]\nname = \"a\"\npassword = \"p\"\naddresses = [\"x@a.example\"]\n[[accounts]]\nname = \"b\"\npassword = \"p\"\naddresses = [\"X@a.example\"]\n",
            "bad.toml:10: accounts.addresses: X@a.example belongs to the account \"a\" already",
        ),
        (
            "[[domains]]\nname = \"a.example\"\n[[accounts]]\nname = \"a\"\naddresses = [\"x@a.example\"]\n",
            "bad.toml:3: accounts.password: is missing: a new account needs `password`",
        ),
        (
            "[[accounts]]\nname = \"a\"\npassword_hash = \"app-secret\"\naddresses = [\"x@a.example\"]\n",
            "bad.toml:3: accounts.password_hash: is not an Argon2id hash",
        ),
        (
            "[[accounts]]\nname = \"a\"\npassword = \"p\"\naddresses = [\"x@a.example\"]\noutgoing_webhook = { url = \"https://h.example\", events = [\"opened\"] }\n",
            "bad.toml:5: accounts.outgoing_webhook.events: must be one of delivered, delayed, failed",
        ),
        (
            "[[accounts]]\nname = \"a\"\npassword = \"p\"\naddresses = [\"x@a.example\"]\nincoming_webhook = { url = \"https://user:app-secret@h.example\" }\n",
            "bad.toml:5: accounts.incoming_webhook.url: must have no user name or password in it: give them as `authorization`",
        ),
        (
            "[[domains]]\nname = \"a.example\"\nroutes = [{ transport = \"none\" }]\n",
            "bad.toml:1: domains.routes: \"none\" must be the name of one of the [[transports]]",
        ),
    ] {
        site.write("bad.toml", text);
        let said = site.fails(&["directory", "apply", "bad.toml"], 1);
        assert!(said.contains(expected), "{text}\n{said}");
        without_secrets(&said);
    }
    assert_eq!(site.ok(&["domain", "list", "--json"]), "[]\n");
}

#[tokio::test]
async fn what_has_mail_queued_is_not_removed() {
    let site = site();
    site.ok(&["directory", "apply", "directory.toml"]);
    let serve = site.serve().await;
    serve.api("app@example.com", "app-secret").ok("Send", &message()).await;
    let said = site.fails(&["account", "remove", "app"], 1);
    assert!(said.contains("there is queued mail of it") && said.contains("postrider queue drop"), "{said}");
    let said = site.fails(&["domain", "remove", "example.com"], 1);
    assert!(said.contains("the account \"app\" has the address app@example.com"), "{said}");
    site.ok(&["account", "remove", "other"]);
}

#[test]
fn accounts_and_domains_are_added_shown_and_removed() {
    let site = Site::new(SETTINGS);
    let said = site.fails(&["domain", "list"], 1);
    assert!(
        said.contains("there is no data directory") && said.contains("postrider serve --config"),
        "{said}"
    );
    site.ok(&["domain", "add", "Example.com"]);
    assert!(site.fails(&["domain", "add", "example.com"], 1).contains("already"));
    let shown = site.ok(&["domain", "show", "example.com"]);
    for record in [
        "example.com. IN MX 10 mail.example.com.",
        "v=DKIM1; k=ed25519",
        "v=DKIM1; k=rsa",
        "v=spf1 a:mail.example.com ~all",
        "_dmarc.example.com. IN TXT",
    ] {
        assert!(shown.contains(record), "{record}: {shown}");
    }
    let add = ["account", "add", "app", "--address", "app@example.com", "--address", "@example.com"];
    assert_eq!(site.ok_with(&add, "app-secret\n"), "added account app\n");
    assert!(site.fails(&add, 1).contains("already"));
    assert!(
        site.fails(&["account", "add", "b", "--address", "b@example.com"], 1)
            .contains("no password on standard input")
    );
    let said = site.ok(&["account", "add", "b", "--address", "b@example.com", "--generate"]);
    let made_up = said.rsplit("password: ").next().expect("a password").trim();
    assert!(made_up.len() >= 20, "{said}");
    let shown: Value = serde_json::from_str(&site.ok(&["account", "show", "app", "--json"])).expect("JSON");
    assert_eq!(shown["addresses"], json!(["app@example.com", "@example.com"]));
    assert!(!shown.to_string().contains("argon2"), "{shown}");
    assert!(site.fails(&["domain", "remove", "example.com"], 1).contains("remove the account first"));
    for name in ["app", "b"] {
        site.ok(&["account", "remove", name]);
    }
    site.ok(&["domain", "remove", "example.com"]);
    assert_eq!(site.ok(&["domain", "list", "--json"]), "[]\n");
    assert!(site.fails(&["account", "show", "app"], 1).contains("there is no account \"app\""));
}

#[test]
fn what_changes_one_domain_or_account_says_so_in_json_too() {
    let site = Site::new(SETTINGS);
    for (args, expected) in [
        (&["domain", "add", "example.com"][..], json!({"domain": "example.com", "done": "added"})),
        (&["domain", "disable", "example.com"], json!({"domain": "example.com", "done": "disabled"})),
        (&["domain", "enable", "example.com"], json!({"domain": "example.com", "done": "enabled"})),
    ] {
        assert_eq!(site.json(args), expected);
    }
    let add = ["account", "add", "app", "--address", "app@example.com", "--generate"];
    for (args, done) in
        [(&add[..], "added"), (&["account", "password", "app", "--generate"], "password changed")]
    {
        let said = site.json(args);
        let password = said["password"].as_str().expect("a password");
        assert!(password.len() >= 20, "{said}");
        assert_eq!(said, json!({"account": "app", "done": done, "password": password}));
    }
    let given = site.ok_with(&["account", "password", "app", "--json"], "app-secret\n");
    let given: Value = serde_json::from_str(&given).expect("JSON");
    assert_eq!(
        given,
        json!({"account": "app", "done": "password changed"}),
        "a password that was given is not shown"
    );
    for (args, expected) in [
        (&["account", "disable", "app"][..], json!({"account": "app", "done": "disabled"})),
        (&["account", "enable", "app"], json!({"account": "app", "done": "enabled"})),
        (&["account", "remove", "app"], json!({"account": "app", "done": "removed"})),
        (&["domain", "remove", "example.com"], json!({"domain": "example.com", "done": "removed"})),
    ] {
        assert_eq!(site.json(args), expected);
    }
}

#[test]
fn what_scram_needs_goes_with_the_hash_of_the_password() {
    let site = site();
    site.ok(&["directory", "apply", "directory.toml"]);
    let exported = site.ok(&["directory", "export"]);
    assert_eq!(exported.matches("password_scram = \"SCRAM-SHA-256$10000:").count(), 2, "{exported}");
    let line = |text: &str, start: &str| {
        text.lines().find(|line| line.starts_with(start)).expect("the line is there").to_owned()
    };
    let (hash, scram) = (line(&exported, "password_hash"), line(&exported, "password_scram"));
    let account = |password: &str| {
        format!(
            "[[domains]]\nname = \"example.com\"\n[[accounts]]\nname = \"app\"\naddresses = [\"app@example.com\"]\n\
             {password}\n"
        )
    };
    let other = Site::new(SETTINGS);
    let apply = |password: &str| {
        other.write("directory.toml", &account(password));
        other.ok(&["directory", "apply", "directory.toml"])
    };
    let kept = || other.ok(&["directory", "export"]).lines().any(|line| line == scram);
    assert!(apply(&hash).contains("added account app") && !kept());
    let both = format!("{hash}\n{scram}");
    assert!(apply(&both).contains("changed account app: password_scram") && kept());
    assert!(!apply(&hash).contains("account app") && kept(), "the password is the same");
    assert!(apply("password = \"another\"").contains("changed account app: password") && !kept());

    let refused = |password: &str, expected: &str| {
        other.write("directory.toml", &account(password));
        let said = other.fails(&["directory", "apply", "directory.toml"], 1);
        assert!(said.contains(expected), "{said}");
    };
    refused(&scram, "goes with `password_hash` only");
    refused(&format!("password = \"another\"\n{scram}"), "goes with `password_hash` only");
    refused(&format!("{hash}\npassword_scram = \"x\""), "must be SCRAM-SHA-256$");
}

#[test]
fn an_account_can_want_repeats_queued_once() {
    let site = site();
    site.write(
        "directory.toml",
        &DIRECTORY.replacen("full_name", "deduplicate_message_id = true\nfull_name", 1),
    );
    site.ok(&["directory", "apply", "directory.toml"]);
    assert_eq!(site.json(&["account", "show", "app"])["deduplicate_message_id"], true);
    assert_eq!(site.json(&["account", "show", "other"])["deduplicate_message_id"], false);
    assert_eq!(site.ok(&["directory", "export"]).matches("deduplicate_message_id = true").count(), 1);
}

#[tokio::test]
async fn a_localserve_is_named_by_its_directory() {
    let server = crate::harness::Server::start().await;
    let site = Site::new(SETTINGS);
    let dir = server.dir().to_str().expect("UTF-8");
    let accounts = site.ok(&["account", "list", "--dir", dir]);
    assert!(accounts.contains("rider@localhost"), "{accounts}");
    assert!(fs::metadata(server.dir().join("control.sock")).is_ok());
}

#[tokio::test]
async fn a_domain_of_a_localserve_is_shown_without_the_records_that_lead_to_a_host() {
    let server = crate::harness::Server::start().await;
    let site = Site::new(SETTINGS);
    let dir = server.dir().to_str().expect("UTF-8");
    let said = site.ok(&["domain", "add", "example.net", "--dir", dir]);
    let show = said.trim_end().rsplit("postrider ").next().expect("the command that shows it");
    let shown = site.ok(&show.split(' ').collect::<Vec<_>>());
    assert!(shown.contains("a localserve has none"), "{shown}");
    let shown = site.json(&["domain", "show", "example.net", "--dir", dir]);
    assert_eq!(shown["name"], "example.net");
    let records = shown["records"].as_array().expect("records");
    assert_eq!(records.len(), 2, "{shown}");
    for record in records {
        let name = record["name"].as_str().expect("a name");
        assert!(name.ends_with("._domainkey.example.net") && record["type"] == "TXT", "{record}");
    }
}

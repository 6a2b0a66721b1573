//! What a directory file may say, and what is said of one that is wrong.

use super::*;
use std::time::Duration;

fn parse(text: &str) -> Result<DirectoryFile, ConfigErrors> {
    DirectoryFile::parse(text, Path::new("/etc/directory.toml"), &|path| match path.to_str() {
        Some("/etc/password") => Ok("from a file\n".to_owned()),
        Some("/etc/s1.pem") => {
            Ok(mail::DkimKey::pem_from_pkcs8(&mail::DkimKey::generate_ed25519().expect("random numbers")))
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    })
}

#[test]
fn a_whole_file_is_read() {
    let file = parse(
        r#"
        admin_password = "operator"
        [[domains]]
        name = "Example.COM"
        catchall_separator = "-"
        dkim = [{ selector = "s1", private_key_file = "s1.pem" }]
        routes = [{ transport = "relay", to_domains = [".example.org"], minimum_attempts = 2 }]
        [[accounts]]
        name = "app"
        full_name = "Example App"
        password_file = "password"
        addresses = ["app@example.com", "@example.com"]
        from_id_login_addresses = ["app@example.com"]
        keep_retired_messages = "0s"
        max_outgoing_messages_per_day = 1000
        mailbox_quota = "1GiB"
        dsn_to_inbox = false
        deduplicate_message_id = true
        outgoing_webhook = { url = "https://hooks.example/", authorization = "Bearer x", events = ["failed"] }
        "#,
    )
    .unwrap();
    assert!(matches!(&file.admin_password, Some(Located { value: PasswordEntry::Plain(_), .. })));
    let domain = &file.domains[0];
    assert_eq!((domain.name.as_ascii(), domain.catchall_separator), ("example.com", '-'));
    assert_eq!(domain.dkim.as_ref().unwrap()[0].selector, "s1");
    assert_eq!((domain.routes[0].transport.as_str(), domain.routes[0].minimum_attempts), ("relay", 2));
    let account = &file.accounts[0];
    let addresses: Vec<_> = account.addresses.iter().map(|address| address.value.to_string()).collect();
    assert_eq!(addresses, ["app@example.com", "@example.com"]);
    assert_eq!(account.addresses[0].origin, Origin::Line(12));
    let Some(Located { value: PasswordEntry::Plain(password), .. }) = &account.password else { panic!() };
    assert_eq!(password.expose(), "from a file");
    assert_eq!(account.keep_retired_messages, Some(Duration::ZERO));
    assert_eq!((account.keep_retired_hooks, account.mailbox_quota), (None, Some(1 << 30)));
    assert!(account.deduplicate_message_id && account.password_scram.is_none());
    assert!(!account.dsn_to_inbox && !account.disabled && account.incoming_webhook.is_none());
    let webhook = account.outgoing_webhook.as_ref().unwrap();
    assert_eq!((webhook.events[0].value.as_str(), webhook.every_event), ("failed", false));
}

#[test]
fn keys_that_are_not_given_stay_and_an_empty_list_removes_them() {
    let file =
        parse("[[domains]]\nname = \"a.example\"\n[[domains]]\nname = \"b.example\"\ndkim = []\n").unwrap();
    assert_eq!(file.domains[0].dkim, None);
    assert_eq!(file.domains[1].dkim, Some(Vec::new()));
}

#[test]
fn errors_name_line_and_option_and_show_no_secret() {
    for (text, expected) in [
        ("[[domain]]\nname = \"a.example\"", ":1: domain: is not an option; did you mean domains?"),
        ("[[domains]]\nnam = \"a.example\"", ":2: domains.nam: is not an option; did you mean domains.name?"),
        ("\n[[domains]]\n", ":2: domains.name: is missing"),
        ("[[domains]]\nname = \"[192.0.2.1]\"", ":2: domains.name: must be a domain name"),
        (
            "[[domains]]\nname = \"a.example\"\ncatchall_separator = \".\"",
            ":3: domains.catchall_separator: must be one of +-_",
        ),
        (
            "[[domains]]\nname = \"a.example\"\ndkim = [{ selector = \"s\", key = \"hunter2\" }]",
            ":3: domains.dkim.key: is not in PEM form",
        ),
        (
            "[[domains]]\nname = \"a.example\"\ndkim = [{ selector = \"s\", private_key_file = \"none.pem\" }]",
            ":3: domains.dkim.private_key_file: /etc/none.pem cannot be read",
        ),
        (
            "[[domains]]\nname = \"a.example\"\ndkim = [{ selector = \"s\" }]",
            ":3: domains.dkim.key: is missing: give `key` or `private_key_file`",
        ),
        (
            "[[domains]]\nname = \"a.example\"\ndkim = [{ selector = \"s\", private_key_file = \"s1.pem\" }, { selector = \"S\", private_key_file = \"s1.pem\" }]",
            ":3: domains.dkim: two keys have the same selector",
        ),
        (
            "[[accounts]]\nname = \"a b\"\naddresses = [\"a@b.example\"]",
            ":2: accounts.name: must be at most 64",
        ),
        ("[[accounts]]\nname = \"a\"\naddresses = []", ":3: accounts.addresses: must name at least one"),
        (
            "[[accounts]]\nname = \"a\"\naddresses = [\n\"a@b\",\n\"a b\"]",
            ":5: accounts.addresses: must be an e-mail",
        ),
        (
            "[[accounts]]\nname = \"a\"\naddresses = [\"a@b.example\"]\npassword = \"hunter2\"\npassword_hash = \"hunter2\"",
            ":5: accounts.password_hash: cannot go with `password` or `password_file`: choose one",
        ),
        (
            "[[accounts]]\nname = \"a\"\naddresses = [\"a@b.example\"]\nincoming_webhook = { url = \"ftp://x\" }",
            ":4: accounts.incoming_webhook.url: must be a URL",
        ),
        (
            "[[accounts]]\nname = \"a\"\naddresses = [\"a@b.example\"]\nwebhook_secret = \"hunter2\"",
            ":4: accounts.webhook_secret: must be \"whsec_\"",
        ),
    ] {
        let errors = parse(text).unwrap_err().to_string();
        assert!(errors.contains(&format!("/etc/directory.toml{expected}")), "{errors}\n{text}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

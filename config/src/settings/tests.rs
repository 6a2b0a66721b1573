use super::*;
use crate::{Host, LogLevel, RelayTls, Service, SmtpRole, Way, source::Value};
use std::{collections::BTreeSet, time::Duration};

fn parse_with(text: &str, env: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let read_file = |path: &Path| match path.to_str() {
        Some("/etc/p/provider.password" | "/etc/p/good") => Ok("from a file\r\n".to_owned()),
        Some("/etc/p/empty") => Ok("\n".to_owned()),
        Some("/etc/p/lines") => Ok("hunter2\nhunter3\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    Settings::parse(text, Path::new("/etc/p/postrider.toml"), env, &read_file)
}

fn parse(text: &str) -> Result<Settings, ConfigErrors> {
    parse_with(text, &[])
}

/// The compiled-in file with its examples switched on.
fn examples() -> String {
    DEFAULTS
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if !example.is_empty() && !example.starts_with(' ') => example,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn keys_of(table: &Table, path: &str, keys: &mut BTreeSet<String>) {
    for (key, node) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match &node.value {
            Value::Table(inner) => keys_of(inner, &path, keys),
            Value::List(items) => {
                for item in items {
                    if let Value::Table(inner) = &item.value {
                        keys_of(inner, &path, keys);
                    }
                }
            }
            _ => {}
        }
        keys.insert(path);
    }
}

#[test]
fn every_option_stands_in_the_described_file_and_the_reverse() {
    let tree = parse_document(&examples()).unwrap();
    let mut described = BTreeSet::new();
    keys_of(&tree, "", &mut described);

    let read_file = |_: &Path| Ok("secret".to_owned());
    let mut reader = Reader::new(Path::new(""), &read_file, Vec::new());
    let _ = Settings::read(reader.root(tree));
    // The three relays share their options, and each example shows the ones that fit it.
    let shared = |key: &String| {
        let option = key.strip_prefix("transports.")?.split_once('.')?;
        ["smtp", "submission", "submissions"]
            .contains(&option.0)
            .then(|| format!("transports.relay.{}", option.1))
    };
    let merge = |keys: &BTreeSet<String>| keys.iter().map(|key| shared(key).unwrap_or(key.clone())).collect();
    let (known, described): (BTreeSet<String>, BTreeSet<String>) = (merge(reader.known()), merge(&described));
    assert_eq!(known, described);
}

#[test]
fn every_option_in_the_described_file_has_a_comment() {
    let mut explained = false;
    for line in DEFAULTS.lines() {
        assert!(line.len() <= 130, "{line}");
        let example = line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
        let option = example.unwrap_or(line);
        if line.starts_with("# ") {
            explained = true;
        } else if line.is_empty() {
            explained = false;
        } else if !option.starts_with('[') && !option.starts_with("name =") {
            // `key_file` and the relays share the comment of the line above.
            assert!(explained || example.is_some(), "{line} has no comment above it");
            explained = example.is_some();
        }
    }
}

#[test]
fn the_examples_are_valid_and_show_the_defaults_of_options_in_lists() {
    let without_acme: String =
        examples().lines().filter(|line| !line.starts_with("acme")).map(|line| format!("{line}\n")).collect();
    let full = parse(&without_acme).unwrap();
    let short = parse(
        r#"
        [[http]]
        address = "127.0.0.1:8080"
        services = ["webapi", "account", "admin", "metrics"]
        [[smtp]]
        address = "127.0.0.1:2587"
        role = "submission"
        [[transports]]
        name = "smarthost"
        smtp = { host = "relay.example.com" }
        [[transports]]
        name = "provider"
        submission = { host = "smtp.example.net", username = "app", password = "change me" }
        [[transports]]
        name = "provider-tls"
        submissions = { host = "smtp.example.net", username = "app", password_file = "provider.password" }
        [[transports]]
        name = "proxy"
        socks = { host = "192.0.2.1", hostname = "proxy.example.com" }
        [[transports]]
        name = "ipv4"
        direct = { family = "ipv4", source_addresses = ["192.0.2.25"] }
        [[transports]]
        name = "refuse"
        fail = { code = 550, text = "5.7.1 no delivery from here" }
        [[routes]]
        transport = "provider"
        to_domains = ["example.org", ".example.org"]
        [tls]
        cert_file = "/etc/postrider/cert.pem"
        key_file = "/etc/postrider/key.pem"
        "#,
    )
    .unwrap();
    assert_eq!(full.http, short.http);
    assert_eq!(full.smtp, short.smtp);
    assert_eq!(full.routes, short.routes);
    assert_eq!(format!("{:?}", full.transports), format!("{:?}", short.transports));
    assert_eq!(full.hostname, Some(Domain::parse("mail.example.com").unwrap()));

    let acme = |text: &str| parse(&format!("[tls]\n{text}")).unwrap().tls;
    let shown = examples().lines().find(|line| line.starts_with("acme")).unwrap().to_owned();
    assert_eq!(acme(&shown), acme(r#"acme = { contact = "postmaster@example.com" }"#));
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let minutes = |list: &[u64]| list.iter().map(|seconds| Duration::from_secs(*seconds)).collect::<Vec<_>>();
    let settings = Settings::defaults();
    assert_eq!(settings.delivery.retry, minutes(&[450, 900, 1800, 3600, 7200, 14400, 28800, 57600]));
    assert_eq!(
        settings.webhooks.retry,
        minutes(&[60, 120, 240, 450, 900, 1800, 3600, 7200, 14400, 28800, 57600])
    );
    assert_eq!((settings.delivery.port, settings.webhooks.answer_max), (25, 512));
    assert_eq!(settings.delivery.recipients_per_transaction_max, 100);
    assert_eq!(settings.webhooks.timeout, Duration::from_secs(60));
    assert_eq!(settings.retention.messages, Duration::from_secs(72 * 3600));
    assert_eq!(settings.limits.request_size_max, 100 << 20);
    assert_eq!((settings.store.map_size, settings.store.inline_content_max), (1 << 40, 256 << 10));
    assert_eq!((settings.hostname, settings.tls), (None, Tls::Off));
    assert!(settings.http.is_empty() && settings.smtp.is_empty() && settings.routes.is_empty());
}

#[test]
fn the_file_changes_what_it_names_and_nothing_else() {
    let settings = parse("hostname = \"MAIL.example.com\"\ndata_dir = \"data\"\n[log]\nlevel = \"debug\"\n[dns]\nnameservers = [\"127.0.0.53\", \"[::1]:5353\"]\n[store]\nmap_size = 1073741825\n").unwrap();
    assert_eq!(settings.hostname.unwrap().as_ascii(), "mail.example.com");
    assert_eq!(settings.data_dir, Path::new("/etc/p/data"));
    assert_eq!(settings.log.level, LogLevel::Debug);
    assert_eq!(settings.log.format, Settings::defaults().log.format);
    assert_eq!(settings.dns.nameservers, ["127.0.0.53:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
    assert_eq!(settings.store.map_size, (1 << 30) + 4096);
    assert_eq!(settings.delivery, Settings::defaults().delivery);
}

#[test]
fn listeners_and_transports_are_read_as_types() {
    let settings = parse_with(
        r#"
        [[http]]
        address = "[::1]:443"
        services = ["admin", "webapi", "admin"]
        trusted_proxies = ["10.0.0.0/8"]
        [[smtp]]
        address = "0.0.0.0:25"
        role = "incoming"
        [[smtp]]
        address = "127.0.0.1:0"
        role = "submission"
        auth_without_tls = true
        [[transports]]
        name = "a"
        submission = { host = "192.0.2.1", tls = "unverified", username = "u", password_file = "good" }
        [[routes]]
        transport = "a"
        to_domains = [".bücher.example"]
        "#,
        &[],
    )
    .unwrap();
    assert_eq!(settings.http[0].services, BTreeSet::from([Service::Webapi, Service::Admin]));
    assert!(settings.http[0].trusted_proxies[0].contains("10.1.1.1".parse().unwrap()));
    assert_eq!(settings.smtp[0].role, SmtpRole::Incoming);
    assert_eq!(settings.smtp[1].role, SmtpRole::Submission { auth_without_tls: true });
    let Way::Submission(relay) = &settings.transports[0].way else { panic!("{:?}", settings.transports) };
    assert_eq!((&relay.host, relay.port), (&Host::Ip("192.0.2.1".parse().unwrap()), 587));
    assert_eq!(relay.tls, RelayTls::Unverified);
    assert_eq!(relay.login.as_ref().unwrap().password.expose(), "from a file");
    assert!(settings.routes[0].matches(None, &Domain::parse("a.xn--bcher-kva.example").unwrap(), 0));
}

#[test]
fn the_environment_wins_over_the_file() {
    let settings = parse_with(
        "[delivery]\nport = 26\nretry = [\"1s\"]\n",
        &[
            ("POSTRIDER__DELIVERY__PORT", "2525"),
            ("POSTRIDER__HOSTNAME", "env.example"),
            ("POSTRIDER__DELIVERY__RETRY", r#"["2s", "3s"]"#),
            ("POSTRIDER__STORE__RESERVE", "1MiB"),
            ("POSTRIDER__DELIVERY__CONNECT_TIMEOUT", "1s"),
            ("POSTRIDER__TLS__ACME__CONTACT", "a@example.com"),
            ("POSTRIDER__HTTP", r#"[{ address = "127.0.0.1:1", services = ["metrics"], tls = true }]"#),
            ("POSTRIDER_OTHER", "is not ours"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!((settings.delivery.port, settings.hostname.unwrap().as_ascii()), (2525, "env.example"));
    assert_eq!(settings.delivery.retry, [Duration::from_secs(2), Duration::from_secs(3)]);
    assert_eq!(
        (settings.store.reserve, settings.delivery.connect_timeout),
        (1 << 20, Duration::from_secs(1))
    );
    assert!(settings.http[0].tls && settings.tls.is_on());
}

#[test]
fn an_error_names_the_line_the_option_and_what_is_allowed() {
    let cases = [
        ("x = [", ":1: is not TOML"),
        ("\nhostname = \"a\"\nhostname = \"b\"", ":3: is not TOML"),
        ("\nhostnam = \"a\"", ":2: hostnam: is not an option; did you mean hostname?"),
        ("[delivery]\nretyr = []", ":2: delivery.retyr: is not an option; did you mean delivery.retry?"),
        (
            "[delivery]\ntimeout = \"1s\"",
            ":2: delivery.timeout: is not an option; did you mean webhooks.timeout?",
        ),
        (
            "[dns]\nqqqqqq = 1",
            ":2: dns.qqqqqq: is not an option; there are dnssec, nameservers, trust_anchor_file",
        ),
        ("[deliver]\nport = 1", ":1: deliver: is not an option; did you mean delivery?"),
        (
            "[[http]]\naddress = \"127.0.0.1:1\"\nservices = [\"webapi\"]\ntsl = true",
            ":4: http.tsl: is not an option; did you mean http.tls?",
        ),
        ("hostname = 5", ":1: hostname: must be text in quotes, not a number"),
        ("hostname = \"a b\"", ":1: hostname: must be a domain name, as \"mail.example.com\", not \"a b\""),
        ("hostname = \"[127.0.0.1]\"", ":1: hostname: must be a domain name"),
        ("data_dir = \"\"", ":1: data_dir: must not be empty"),
        ("delivery = 5", ":1: delivery: must be a section, [delivery], not a number"),
        ("[[delivery]]", ":1: delivery: must be a section, [delivery], not a list"),
        (
            "[http]\naddress = \"127.0.0.1:1\"",
            ":1: http: must be a list of sections, written [[...]], not a section",
        ),
        ("http = [1]", ":1: http: must be a list of sections, written [[...]], not a number"),
        ("[log]\nlevel = \"loud\"", ":2: log.level: must be \"error\" or \"warn\" or \"info\""),
        ("[delivery]\n\nport = 0", ":3: delivery.port: must be a whole number from 1 to 65535, not 0"),
        ("[delivery]\nport = \"25\"", ":2: delivery.port: must be a whole number"),
        ("[delivery]\nport = 99999999999999999999", ":2: delivery.port: must be a whole number"),
        ("[delivery]\nport = 2.5", "not a number with a fraction"),
        ("[delivery]\nretry = []", ":2: delivery.retry: must have at least one wait"),
        (
            "[delivery]\nretry = [\"1m\",\n\"0s\"]",
            ":3: delivery.retry: must be from \"1ms\" to \"30d\", not \"0s\"",
        ),
        ("[delivery]\nretry = \"1m\"", ":2: delivery.retry: must be a list, as [\"...\", \"...\"], not text"),
        (
            "[delivery]\nconnect_timeout = 30",
            ":2: delivery.connect_timeout: must be a duration with its unit",
        ),
        ("[delivery]\nconnect_timeout = \"2h\"", "must be from \"1ms\" to \"1h\", not \"2h\""),
        (
            "[delivery]\nconcurrency_start = 21",
            ":2: delivery.concurrency_start: must be at most delivery.connections_per",
        ),
        ("[delivery]\nsource_addresses = [\"0.0.0.0\"]", "must be the address of one machine"),
        ("[webhooks]\nallow_networks = [\"10.0.0.1/8\"]", "the network is 10.0.0.0/8"),
        ("[webhooks]\nanswer_max = \"1GiB\"", "must be from \"0B\" to \"64KiB\", not \"1GiB\""),
        ("[store]\nbatch_max = 0", ":2: store.batch_max: must be a whole number from 1"),
        ("[store]\nmap_size = \"1Tib\"", ":2: store.map_size: a size is written as"),
        (
            "[store]\nreserve = \"32MiB\"\nmap_size = \"16MiB\"",
            ":2: store.reserve: must be less than store.map_size",
        ),
        ("[store]\nmap_size = \"16MiB\"", ":2: store.reserve: must be less than store.map_size"),
        ("[store]\nbatch_max = 5000", ":2: store.batch_max: must be at most store.pending_writes_max"),
        ("[tls]\ncert_file = \"c\"", ":1: tls.key_file: is missing: a certificate needs its key"),
        (
            "[tls]\ncert_file = \"c\"\nkey_file = \"k\"\nacme = { contact = \"a@b.example\" }",
            ":4: tls.acme: cannot go with",
        ),
        ("[tls]\nacme = { contact = \"nobody\" }", ":2: tls.acme.contact: must be an e-mail address"),
        ("[tls]\nacme = { contact = \"a@b.example\", directory = \"http://x\" }", "must be an https URL"),
        ("[[http]]\nservices = [\"webapi\"]", ":1: http.address: is missing"),
        ("[[http]]\naddress = \"127.0.0.1:1\"", ":1: http.services: must name at least one of"),
        (
            "[[http]]\naddress = \"127.0.0.1:1\"\nservices = [\"webapi\"]\ntls = true",
            ":4: http.tls: needs a certificate",
        ),
        (
            "[[smtp]]\naddress = \"127.0.0.1:1\"\nrole = \"submissions\"",
            ":3: smtp.role: \"submissions\" needs a cert",
        ),
        (
            "[[smtp]]\naddress = \"127.0.0.1:1\"\nrole = \"submission\"",
            ":3: smtp.role: \"submission\" needs a cert",
        ),
        (
            "[[smtp]]\naddress = \"127.0.0.1:1\"\nrole = \"incoming\"\nauth_without_tls = true",
            ":4: smtp.auth_without_tls: only",
        ),
        (
            "smtp = [{address = \"127.0.0.1:1\", role = \"incoming\"}, {address = \"127.0.0.1:1\", role = \"incoming\"}]",
            "two listeners have the address 127.0.0.1:1",
        ),
        ("[[transports]]\nname = \"a\"", ":2: transports.name: needs one of smtp, submission"),
        ("[[transports]]\nname = \"a\"\ndirect = {}\nsmtp = { host = \"h\" }", "and only one"),
        ("[[transports]]\nname = \"a b\"\ndirect = {}", ":2: transports.name: must be letters"),
        (
            "transports = [{name = \"a\", direct = {}}, {name = \"a\", direct = {}}]",
            "two transports have the name \"a\"",
        ),
        (
            "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", prot = 1 }",
            "transports.smtp.prot: is not an option; did you mean transports.smtp.port?",
        ),
        (
            "[[transports]]\nname = \"a\"\nsubmissions = { host = \"h\", tls = \"none\" }",
            "submissions is TLS from the start",
        ),
        (
            "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", username = \"u\" }",
            "goes with `password` or `password_file`",
        ),
        ("[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", password = \"p\" }", "both or none"),
        (
            "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", tls = \"none\", username = \"u\", password = \"p\" }",
            "must not go out in the clear",
        ),
        (
            "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", username = \"u\", password = \"p\", password_file = \"good\" }",
            "choose one",
        ),
        (
            "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", username = \"u\", password_file = \"gone\" }",
            "/etc/p/gone cannot be read",
        ),
        (
            "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", username = \"u\", password_file = \"empty\" }",
            "the secret in /etc/p/empty must not be empty",
        ),
        (
            "[[transports]]\nname = \"a\"\ndirect = { family = \"ipv6\", source_addresses = [\"192.0.2.1\"] }",
            "must be of the family",
        ),
        (
            "[[transports]]\nname = \"a\"\nfail = { code = 250, text = \"x\" }",
            "must be a whole number from 400 to 599",
        ),
        ("[[routes]]\ntransport = \"nowhere\"", ":2: routes.transport: must be the name of one of"),
        (
            "[[routes]]\nto_domains = [\"a..b\"]\ntransport = \"x\"",
            ":2: routes.to_domains: must be a domain name",
        ),
    ];
    for (text, expected) in cases {
        let errors = parse(text).expect_err(text);
        assert_eq!(errors.iter().count(), 1, "{text}\n{errors}");
        assert!(errors.to_string().contains(expected), "{text}\n{errors}\nwanted {expected}");
        assert!(errors.to_string().starts_with("/etc/p/postrider.toml:"), "{errors}");
    }
}

#[test]
fn an_error_in_the_environment_names_the_variable() {
    let cases = [
        ("POSTRIDER__DELIVERY__PROT", "1", "is not an option; did you mean POSTRIDER__DELIVERY__PORT?"),
        ("POSTRIDER__DELIVER__PORT", "1", "is not an option; did you mean POSTRIDER__DELIVERY__PORT?"),
        ("POSTRIDER__HOSTNAM", "a", "is not an option; did you mean POSTRIDER__HOSTNAME?"),
        (
            "POSTRIDER__DELIVERY__PORT",
            "0",
            "delivery.port: must be a whole number from 1 to 65535, not \"0\"",
        ),
        ("POSTRIDER__DELIVERY__RETRY", "1m", "delivery.retry: must be a list"),
        ("POSTRIDER__DELIVERY__RETRY", "[\"1x\"]", "delivery.retry: a duration is written as"),
        ("POSTRIDER__DELIVERY", "5", "delivery: is a section; set POSTRIDER__DELIVERY__KEY"),
        (
            "POSTRIDER__HTTP__ADDRESS",
            "127.0.0.1:1",
            "`http` is a list of sections; set it as a whole: POSTRIDER__HTTP=",
        ),
        ("POSTRIDER__HOSTNAME__X", "a", "`hostname` is set to a value already"),
        ("POSTRIDER__delivery__port", "1", "is written in capitals: POSTRIDER__DELIVERY__PORT"),
        ("POSTRIDER__", "1", "names no option"),
        ("POSTRIDER__DELIVERY____PORT", "1", "names no option"),
    ];
    for (name, value, expected) in cases {
        let errors = parse_with("hostname = \"a\"", &[(name, value)]).expect_err(name);
        assert_eq!(errors.iter().count(), 1, "{errors}");
        assert!(errors.to_string().starts_with(&format!("{name}: ")), "{errors}");
        assert!(errors.to_string().contains(expected), "{name}={value}\n{errors}\nwanted {expected}");
    }
}

#[test]
fn all_errors_are_reported_together_in_the_order_of_the_file() {
    let errors = parse_with(
        "[webhooks]\nretry = []\n[log]\nlevle = 1\nformat = \"xml\"\n[[routes]]\n[delivery]\nport = 0\n",
        &[("POSTRIDER__STORE__BATCH_MAX", "many")],
    )
    .unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| (error.origin.clone(), error.key.as_str())).collect();
    let variable = Origin::Variable("POSTRIDER__STORE__BATCH_MAX".to_owned());
    assert_eq!(
        lines,
        [
            (Origin::Line(2), "webhooks.retry"),
            (Origin::Line(4), "log.levle"),
            (Origin::Line(5), "log.format"),
            (Origin::Line(6), "routes.transport"),
            (Origin::Line(8), "delivery.port"),
            (variable, "store.batch_max"),
        ]
    );
}

#[test]
fn errors_and_debug_output_show_no_password() {
    let relay = |rest: &str| {
        format!("[[transports]]\nname = \"a\"\nsmtp = {{ host = \"h\", username = \"u\", {rest} }}")
    };
    for rest in [
        "password = \"hunter2\\u0000\"",
        "password_file = \"lines\"",
        "password = [\"hunter2\"]",
        "pasword = \"hunter2\"",
    ] {
        let errors = parse(&relay(rest)).expect_err(rest);
        assert!(!format!("{errors} {errors:?}").contains("hunter"), "{errors}");
    }
    let settings = parse(&relay("password = \"hunter2\"")).unwrap();
    assert!(!format!("{settings:?}").contains("hunter"));
}

#[test]
fn nothing_that_nests_without_end_is_read_without_end() {
    let dotted = format!("{} = 1", ["a"; 2000].join("."));
    let lists = format!("http = {}{}", "[".repeat(60), "]".repeat(60));
    for text in [dotted, lists] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn a_file_is_loaded_with_its_secrets_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("postrider.toml");
    let missing = Settings::load(&file, std::iter::empty()).unwrap_err();
    assert!(missing.to_string().contains("postrider.toml: cannot be read"), "{missing}");

    std::fs::write(dir.path().join("pw"), "s3cret\n").unwrap();
    let text =
        "[[transports]]\nname = \"a\"\nsmtp = { host = \"h\", username = \"u\", password_file = \"pw\" }\n";
    std::fs::write(&file, text).unwrap();
    let env = [("POSTRIDER__DELIVERY__PORT".to_owned(), "26".to_owned())];
    let settings = Settings::load(&file, env.into_iter()).unwrap();
    let Way::Smtp(relay) = &settings.transports[0].way else { panic!("{settings:?}") };
    assert_eq!(relay.login.as_ref().unwrap().password.expose(), "s3cret");
    assert_eq!(settings.delivery.port, 26);

    std::fs::write(dir.path().join("pw"), "x".repeat(9000)).unwrap();
    let errors = Settings::load(&file, std::iter::empty()).unwrap_err();
    assert!(errors.to_string().contains("more than 8192 bytes"), "{errors}");
}

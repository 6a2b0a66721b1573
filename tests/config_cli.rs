//! `config check` and `config describe`.

use crate::harness::Site;

#[test]
fn every_error_of_a_settings_file_is_shown_with_its_line() {
    let site = Site::new("");
    site.write(
        "bad.toml",
        "hostname = \"mail example\"\n[delivery]\nprot = 25\n\n[[http]]\naddress = \"localhost\"\nservices = [\"webapi\"]\n",
    );
    let said = site.fails(&["config", "check", "bad.toml"], 1);
    for expected in [
        "bad.toml:1: hostname: must be a domain name",
        "bad.toml:3: delivery.prot: is not an option; did you mean delivery.port?",
        "bad.toml:6: http.address: must be \"address:port\"",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(site.fails(&["config", "check", "none.toml"], 1).contains("none.toml: cannot be read"));
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_too() {
    let site = Site::new("[tls]\ncert_file = \"none.pem\"\nkey_file = \"none.pem\"\n");
    assert!(site.fails(&["config", "check", "postrider.toml"], 1).contains("none.pem cannot be read"));
}

#[test]
fn a_good_file_is_summed_up() {
    let site = Site::new(
        "hostname = \"mail.example.com\"\n[[smtp]]\naddress = \"127.0.0.1:2525\"\nrole = \"incoming\"\n",
    );
    let said = site.ok(&["config", "check", "postrider.toml"]);
    assert!(
        said.starts_with("postrider.toml: ok\n") && said.contains("smtp        127.0.0.1:2525"),
        "{said}"
    );
}

#[test]
fn every_option_is_described() {
    let said = Site::new("").ok(&["config", "describe"]);
    for expected in ["retry = [", "[limits]", "#hostname", "DANE"] {
        assert!(said.contains(expected), "{expected}");
    }
}

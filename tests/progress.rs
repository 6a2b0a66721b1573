//! How far long work has come is shown on a terminal, and nowhere else.

use crate::harness::{Site, judge, verdict};
use serde_json::{Value, json};

const SETTINGS: &str = "hostname = \"mail.example.com\"\n\
    [dns]\nnameservers = [\"127.0.0.1:1\"]\n\
    [[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\n";

/// A command of ours in the site's directory, and what the terminal has to show of it, as a regular expression.
fn on_a_terminal(site: &Site, args: &[&str], shows: &str) -> Value {
    let command = [&[env!("CARGO_BIN_EXE_postrider")], args].concat();
    json!({"command": command, "dir": site.path(""), "shows": shows})
}

#[tokio::test]
async fn an_import_shows_how_far_it_is() {
    let site = Site::new(SETTINGS);
    site.ok(&["domain", "add", "example.com"]);
    site.ok_with(&["account", "add", "app", "--address", "app@example.com"], "correct horse\n");
    let _serve = site.serve().await;
    let lines = |name: &str| (0..5_000).map(|n| format!("{name}{n:04}@b.example\n")).collect::<String>();
    site.write("first.csv", &lines("a"));
    site.write("second.csv", &lines("b"));

    let done = site.run(&["suppress", "import", "first.csv"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "nothing is shown where nobody looks");
    let shows =
        r"(\r [48]0 %, [24]000 lines: [24]000 added, 0 on the list already, 0 wrong\x1b\[K){2}\r\x1b\[K";
    judge("check_terminal.py", &on_a_terminal(&site, &["suppress", "import", "second.csv"], shows));
    let again = on_a_terminal(&site, &["suppress", "import", "second.csv"], shows);
    let fault = verdict("check_terminal.py", &again).expect_err("other numbers are shown");
    assert!(fault.contains("4000 lines: 0 added, 4000 on the list already"), "{fault}");
}

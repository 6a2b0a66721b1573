//! `postrider suppress`: lists for operators, imported and exported as CSV.

use crate::harness::{Done, Serve, Server, Site, eventually};
use serde_json::{Value, json};
use std::fmt::Write;

/// Mail to refuse.example fails for good.
const SETTINGS: &str = "hostname = \"mail.example.com\"\n\
    [dns]\nnameservers = [\"127.0.0.1:1\"]\n\
    [[http]]\naddress = \"127.0.0.1:0\"\nservices = [\"webapi\"]\n\
    [[transports]]\nname = \"refuse\"\nfail = { code = 550, text = \"5.1.1 no such user\" }\n\
    [[routes]]\ntransport = \"refuse\"\nto_domains = [\"refuse.example\"]\n";

/// A site with these accounts, each with its name at example.com as its address.
fn site(accounts: &[&str]) -> Site {
    let site = Site::new(SETTINGS);
    site.ok(&["domain", "add", "example.com"]);
    for account in accounts {
        let address = format!("{account}@example.com");
        site.ok_with(&["account", "add", account, "--address", &address], "correct horse\n");
    }
    site
}

fn json_of(site: &Site, args: &[&str]) -> Value {
    site.json(&[&["suppress"], args].concat())
}

fn bases(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().expect("entries").iter();
    entries.map(|entry| entry["base_address"].as_str().expect("a text")).collect()
}

/// Imports a file of that content; the numbers added, present and rejected, and all of what was said.
fn import(site: &Site, content: impl AsRef<[u8]>) -> ([u64; 3], Value, Done) {
    std::fs::write(site.path("list.csv"), content).expect("room on the disk");
    let done = site.run(&["suppress", "import", "list.csv", "--json"]);
    let outcome: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    let numbers = ["added", "present", "rejected"].map(|name| outcome[name].as_u64().expect("a number"));
    assert_eq!(done.status, i32::from(numbers[2] > 0), "{done:?}");
    (numbers, outcome, done)
}

async fn suppressed_by_a_failure(serve: &Serve) -> i64 {
    let api = serve.api("app@example.com", "correct horse");
    let request = json!({"To": [{"Address": "Gone+x@refuse.example"}], "Text": "hi"});
    let sent = api.ok("Send", &request).await;
    eventually("the failure to suppress", async || {
        let present = api.ok("SuppressionPresent", &json!({"EmailAddress": "gone@refuse.example"})).await;
        if present["Present"] == true { Ok(()) } else { Err("it has not".to_owned()) }
    })
    .await;
    sent["Submissions"][0]["QueueMsgID"].as_i64().expect("an id")
}

#[tokio::test]
async fn an_address_is_added_shown_looked_up_and_removed() {
    let site = site(&["app"]);
    assert_eq!(site.ok(&["suppress", "list"]), "no addresses\n");
    assert!(site.fails(&["suppress", "add", "ann@b.example"], 1).contains("no server runs"));
    let serve = site.serve().await;
    let added = json_of(&site, &["add", "Ann+news@BÜCHER.example", "--reason", "asked for it"]);
    assert_eq!(added[0]["base_address"], "ann@bücher.example");
    site.ok(&["suppress", "add", "bob@b.example"]);
    let said = site.fails(&["suppress", "add", "bob+2@b.example"], 1);
    assert!(said.contains("on the list of app already"), "{said}");
    let id = suppressed_by_a_failure(&serve).await;

    let mut page = json_of(&site, &["list"]);
    for entry in page["entries"].as_array_mut().expect("entries") {
        let created = entry["created"].take();
        assert!(created.as_str().is_some_and(|time| time.ends_with('Z')), "{created}");
    }
    assert_eq!(
        page,
        json!({"next": null, "entries": [
            {
                "id": 1, "account": "app", "base_address": "ann@bücher.example",
                "original_address": "Ann+news@bücher.example", "created": null, "source": "manual", "message": null,
                "reason": "asked for it",
            },
            {
                "id": 2, "account": "app", "base_address": "bob@b.example", "original_address": "bob@b.example",
                "created": null, "source": "manual", "message": null, "reason": "",
            },
            {
                "id": 3, "account": "app", "base_address": "gone@refuse.example",
                "original_address": "Gone+x@refuse.example", "created": null, "source": "queue", "message": id,
                "reason": page["entries"][2]["reason"],
            },
        ]})
    );
    let reason = format!("550 5.1.1 no such user (mailbox, permanent); queue message {id}");
    assert_eq!(page["entries"][2]["reason"], reason);
    let text = site.ok(&["suppress", "list"]);
    assert!(text.contains("BASE ADDRESS") && text.contains("asked for it"), "{text}");

    let found = json_of(&site, &["lookup", "ANN@xn--bcher-kva.example"]);
    assert_eq!(found[0]["reason"], "asked for it");
    assert!(site.ok(&["suppress", "lookup", "bob+x@b.example"]).contains("bob@b.example"));
    let removed = json_of(&site, &["remove", "bob+x@b.example"]);
    assert_eq!(removed[0]["id"], 2);
    assert!(site.fails(&["suppress", "remove", "bob@b.example"], 1).contains("not on the list of app"));
    assert!(site.fails(&["suppress", "lookup", "bob@b.example"], 1).contains("bob@b.example is on no list"));
    let done = site.run(&["suppress", "lookup", "bob@b.example", "--json"]);
    assert_eq!((done.status, done.stdout.as_str()), (1, "[]\n"));
    site.fails(&["suppress", "add", "bob"], 2);
    let long = "x".repeat(2_001);
    assert!(site.fails(&["suppress", "add", "bob@b.example", "--reason", &long], 1).contains("shorten"));

    drop(serve);
    assert_eq!(bases(&json_of(&site, &["list"])), ["ann@bücher.example", "gone@refuse.example"]);
    assert_eq!(json_of(&site, &["lookup", "ann@bücher.example"])[0]["id"], 1);
}

#[tokio::test]
async fn where_there_are_several_accounts_one_has_to_be_named() {
    let site = site(&["app", "other"]);
    let _serve = site.serve().await;
    for args in [
        &["list"][..],
        &["add", "ann@b.example"],
        &["remove", "ann@b.example"],
        &["import", "-"],
        &["export"],
    ] {
        let said = site.fails(&[&["suppress"], args].concat(), 2);
        assert!(said.contains("--account NAME"), "{args:?}: {said}");
        let args = [&["suppress"], args, &["--account", "nobody"]].concat();
        let said = site.run_with(&args, "x@b.example\n");
        assert!(said.status == 1 && said.stderr.contains("no account \"nobody\""), "{args:?}: {said:?}");
        assert!(!said.stderr.contains("stopped near"), "nothing is read: {said:?}");
    }
    site.ok(&["suppress", "add", "ann@b.example", "--account", "other"]);
    site.ok(&["suppress", "add", "ann@b.example", "--account", "app"]);
    site.ok(&["suppress", "add", "bob@b.example", "--account", "other"]);
    assert_eq!(bases(&json_of(&site, &["list", "--account", "app"])), ["ann@b.example"]);
    let accounts = |args: &[&str]| {
        let found = json_of(&site, args);
        let found = found.as_array().expect("entries").iter();
        found.map(|entry| entry["account"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(accounts(&["lookup", "ann@b.example"]), ["app", "other"]);
    assert_eq!(accounts(&["lookup", "bob@b.example"]), ["other"]);
    assert_eq!(accounts(&["lookup", "ann@b.example", "--account", "app"]), ["app"]);
}

#[tokio::test]
async fn a_long_list_is_shown_page_by_page() {
    let site = site(&["app"]);
    let _serve = site.serve().await;
    let content: String = (0..25).map(|n| format!("n{n:02}@b.example\n")).collect();
    assert_eq!(import(&site, content).0, [25, 0, 0]);
    let (mut read, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["list", "--limit", "10"];
        if let Some(key) = &after {
            args.extend(["--after", key]);
        }
        let page = json_of(&site, &args);
        read.extend(bases(&page).into_iter().map(str::to_owned));
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read, (0..25).map(|n| format!("n{n:02}@b.example")).collect::<Vec<_>>());
    assert!(site.ok(&["suppress", "list", "--limit", "10"]).ends_with("--after n09@b.example\n"));
}

#[tokio::test]
async fn files_are_imported_as_people_and_programs_write_them() {
    let site = site(&["app"]);
    let serve = site.serve().await;
    for (content, numbers) in [
        (&b"ann@b.example\nbob@b.example\n"[..], [2, 0, 0]),
        (b"\xef\xbb\xbfann@b.example\r\n\r\nEVE@b.example\r\n", [1, 1, 0]),
        (
            b"\xef\xbb\xbf\"Address\",Reason,Extra\r\ncat@b.example,\"said \"\"no\"\",\r\ntwice\",x\r\n",
            [1, 0, 0],
        ),
        (b"id,address\n7,dan@b.example\n\n , \n8,DAN+x@b.example", [1, 1, 0]),
        (b"address,reason,created,manual\nfay@b.example,=1+1,2020-02-02T02:02:02.25Z,false\n", [1, 0, 0]),
        (b"", [0, 0, 0]),
        (b"address\n", [0, 0, 0]),
    ] {
        assert_eq!(import(&site, content).0, numbers, "{}", String::from_utf8_lossy(content));
    }
    let imported = site.ok_with(&["suppress", "import", "-"], "gus@b.example\n");
    assert_eq!(imported, "1 added, 0 on the list already, 0 wrong\n");
    let page = json_of(&site, &["list"]);
    let names = ["ann", "bob", "cat", "dan", "eve", "fay", "gus"];
    assert_eq!(bases(&page), names.map(|name| format!("{name}@b.example")));
    let entry = |n: usize| &page["entries"][n];
    assert_eq!(entry(2)["reason"], "said \"no\",\r\ntwice");
    assert_eq!(entry(4)["original_address"], "EVE@b.example");
    assert_eq!(
        (&entry(5)["reason"], &entry(5)["created"], &entry(5)["source"]),
        (&json!("=1+1"), &json!("2020-02-02T02:02:02.25Z"), &json!("application"))
    );
    for (content, said) in [
        ("email\nann@b.example\n", "neither names the columns"),
        ("ann@b.example,because\n", "neither names the columns"),
        ("address,address\n", "twice"),
    ] {
        site.write("bad.csv", content);
        let error = site.fails(&["suppress", "import", "bad.csv"], 1);
        assert!(error.contains(said) && error.contains("bad.csv"), "{content}: {error}");
    }
    assert!(site.fails(&["suppress", "import", "none.csv"], 1).contains("none.csv"));

    let api = serve.api("app@example.com", "correct horse");
    let sent = api.ok("Send", &json!({"To": [{"Address": "Fay+1@b.example"}], "Text": "hi"})).await;
    let id = sent["Submissions"][0]["QueueMsgID"].to_string();
    eventually("the message to be suppressed", async || {
        let done = site.run(&["queue", "retired", "show", &id, "--json"]);
        if done.stdout.contains("\"outcome\": \"suppressed\"") {
            Ok(())
        } else {
            Err(done.stdout + &done.stderr)
        }
    })
    .await;
}

#[tokio::test]
async fn bad_lines_are_told_with_their_numbers_and_the_others_imported() {
    let site = site(&["app"]);
    let _serve = site.serve().await;
    let content = "address,reason,source,message,created\n\
        ann@b.example,fine,,,\n\
        bob,no address,,,\n\
        \n\
        cat@b.example,\"two\nlines\",queue,,\n\
        dan@b.example,fine,DSN,17,\n\
        eve@b.example,a,b,c,d,e\n\
        fay@b.example,when,,,yesterday\n";
    let (numbers, outcome, done) = import(&site, content);
    assert_eq!(numbers, [2, 0, 4]);
    let lines: Vec<_> =
        outcome["rejects"].as_array().expect("a list").iter().map(|one| &one["line"]).collect();
    assert_eq!(lines, [3, 5, 8, 9]);
    assert!(done.stderr.contains("4 lines were not imported"), "{done:?}");

    let done = site.run(&["suppress", "import", "list.csv", "--rejects", "rejects.csv"]);
    assert_eq!((done.status, done.stdout.as_str()), (1, "0 added, 2 on the list already, 4 wrong\n"));
    for said in
        ["line 3: the address has no @", "line 5: the source \"queue\" needs", "line 8: it has 6 fields"]
    {
        assert!(done.stderr.contains(said), "{said} in {}", done.stderr);
    }
    let rejects = std::fs::read_to_string(site.path("rejects.csv")).expect("a file");
    assert!(
        rejects.starts_with("line,error,address,reason,source,message,created\n3,the address has no @,bob,")
    );
    assert_eq!(rejects.matches("@b.example").count(), 3, "{rejects}");
    site.fails(&["suppress", "import", "list.csv", "--rejects", "rejects.csv"], 1);
    let right = rejects.replace(",bob,", ",bob@b.example,").replace("queue,,", "queue,7,");
    assert_eq!(import(&site, right).0, [2, 0, 2], "what was put right can be imported");

    let many: String = (0..1_500).fold("address\n".to_owned(), |mut text, n| {
        let _ = writeln!(text, "bad{n}");
        text
    });
    site.write("many.csv", &many);
    let done = site.run(&["suppress", "import", "many.csv", "--rejects", "all.csv"]);
    assert_eq!((done.status, done.stderr.matches("line ").count()), (1, 20), "{}", done.stderr);
    assert!(done.stderr.contains("and 1480 more; --rejects FILE"), "{}", done.stderr);
    let all = std::fs::read_to_string(site.path("all.csv")).expect("a file");
    assert_eq!(all.lines().count(), 1_501);
}

#[tokio::test]
async fn an_exported_list_is_imported_as_it_was() {
    let site = site(&["app", "other"]);
    let serve = site.serve().await;
    suppressed_by_a_failure(&serve).await;
    let api = serve.api("app@example.com", "correct horse");
    for (address, manual, reason) in [
        ("Ann+x@BÜCHER.example", true, "one\r\nand \"two\", = three"),
        ("\"a b\"@b.example", false, ""),
        ("bob@b.example", false, " \u{feff}=cmd|' /C calc'!A0 "),
    ] {
        let add = json!({"EmailAddress": address, "Manual": manual, "Reason": reason});
        assert_eq!(api.ok("SuppressionAdd", &add).await, json!({}));
    }
    let csv = site.ok(&["suppress", "export", "--account", "app"]);
    assert!(csv.starts_with("address,reason,created,source,message\n"), "{csv}");
    let said = site.ok_with(&["suppress", "import", "-", "--account", "other"], &csv);
    assert_eq!(said, "4 added, 0 on the list already, 0 wrong\n");
    site.ok(&["suppress", "export", "--account", "other", "--output", "other.csv"]);
    assert_eq!(std::fs::read_to_string(site.path("other.csv")).expect("a file"), csv);
    let said = site.fails(&["suppress", "export", "--account", "other", "--output", "other.csv"], 1);
    assert!(said.contains("other.csv is there already; name another file with --output"), "{said}");
    let shown = |account: &str| {
        let mut page = json_of(&site, &["list", "--account", account]);
        for entry in page["entries"].as_array_mut().expect("entries") {
            entry["id"].take();
            entry["account"].take();
        }
        page
    };
    assert_eq!(shown("app"), shown("other"));
}

#[tokio::test]
async fn a_large_list_is_imported_into_a_localserve_and_exported_again() {
    const LINES: usize = 20_000;
    let server = Server::start().await;
    let dir = server.dir().to_str().expect("UTF-8");
    let site = Site::new("");
    let mut content = "address,reason\n".to_owned();
    for n in 0..LINES {
        let _ = writeln!(content, "n{n:05}@b.example,left on day {n}");
    }
    site.write("large.csv", &content);
    let said = site.ok(&["suppress", "import", "--dir", dir, "large.csv"]);
    assert_eq!(said, format!("{LINES} added, 0 on the list already, 0 wrong\n"));
    let said = site.ok(&["suppress", "import", "--dir", dir, "large.csv"]);
    assert_eq!(said, format!("0 added, {LINES} on the list already, 0 wrong\n"));
    let exported = site.ok(&["suppress", "export", "--dir", dir]);
    assert_eq!(exported.lines().count(), LINES + 1);
    assert!(
        exported
            .lines()
            .nth(LINES)
            .is_some_and(|line| line.starts_with("n19999@b.example,left on day 19999,"))
    );
    let imported = server.metric("postrider_suppressions_added_total", "source=\"import\"").await;
    assert_eq!(imported, LINES as f64);
}

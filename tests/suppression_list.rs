//! The suppression list over the webapi, row by row of the contract.

use crate::harness::{Embedded, PASSWORD, Server, account};
use serde_json::{Value, json};

async fn code(server: &Server, method: &str, request: Value) -> String {
    let answer = server.call(method, &request).await;
    assert_eq!(answer.status, 400, "{method} {request}: {}", answer.text());
    answer.code()
}

#[tokio::test]
async fn an_entry_is_added_shown_and_removed() {
    let server = Server::start().await;
    assert_eq!(server.ok("SuppressionList", &json!({})).await, json!({"Suppressions": []}));
    let add = json!({"EmailAddress": "Ann+news@BÜCHER.example", "Manual": true, "Reason": "asked for it"});
    assert_eq!(server.ok("SuppressionAdd", &add).await, json!({}));
    assert_eq!(server.ok("SuppressionAdd", &json!({"EmailAddress": "bob@b.example"})).await, json!({}));

    let mut list = server.ok("SuppressionList", &json!({})).await;
    for entry in list["Suppressions"].as_array_mut().unwrap() {
        let created = entry["Created"].take();
        assert!(created.as_str().is_some_and(|time| time.ends_with('Z')), "{created}");
    }
    assert_eq!(
        list,
        json!({"Suppressions": [
            {
                "ID": 1, "Created": null, "Account": "rider", "BaseAddress": "ann@bücher.example",
                "OriginalAddress": "Ann+news@bücher.example", "Manual": true, "Reason": "asked for it",
            },
            {
                "ID": 2, "Created": null, "Account": "rider", "BaseAddress": "bob@b.example",
                "OriginalAddress": "bob@b.example", "Manual": false, "Reason": "",
            },
        ]})
    );
    for (address, present) in [
        ("ann@bücher.example", true),
        ("ANN+x@xn--bcher-kva.example", true),
        ("ann.b@bücher.example", false),
        ("bob@b.example", true),
        ("bob@other.example", false),
    ] {
        let answer = server.ok("SuppressionPresent", &json!({"EmailAddress": address})).await;
        assert_eq!(answer, json!({"Present": present}), "{address}");
    }
    assert_eq!(code(&server, "SuppressionAdd", json!({"EmailAddress": "bob+2@b.example"})).await, "error");
    let remove = json!({"EmailAddress": "bob+3@b.example"});
    assert_eq!(server.ok("SuppressionRemove", &remove).await, json!({}));
    assert_eq!(code(&server, "SuppressionRemove", remove).await, "error");
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let server = Server::start().await;
    for method in ["SuppressionAdd", "SuppressionRemove", "SuppressionPresent"] {
        for address in ["", "ann", "ann@", "@b.example", "a b@c.example", "Ann <a@b.example>", "a@b..example"]
        {
            let request = json!({"EmailAddress": address});
            assert_eq!(code(&server, method, request).await, "badAddress", "{method} {address:?}");
        }
        assert_eq!(code(&server, method, json!({})).await, "badAddress");
        assert_eq!(code(&server, method, json!({"EmailAddress": 1})).await, "protocol");
        assert_eq!(code(&server, method, json!({"Address": "a@b.example"})).await, "protocol");
    }
    let long = json!({"EmailAddress": "a@b.example", "Reason": "x".repeat(2_001)});
    assert_eq!(code(&server, "SuppressionAdd", long).await, "user");
    assert_eq!(code(&server, "SuppressionList", json!({"Limit": 1})).await, "protocol");
    assert_eq!(server.ok("SuppressionList", &json!({})).await, json!({"Suppressions": []}));
}

#[tokio::test]
async fn each_account_has_a_list_of_its_own_however_long() {
    let server = Embedded::builder().account(account("rider")).account(account("other")).start().await;
    let (rider, other) = (server.api(), server.api().login("other@localhost", PASSWORD));
    let add = async |number: usize| {
        rider.ok("SuppressionAdd", &json!({"EmailAddress": format!("n{number:04}@b.example")})).await
    };
    futures_util::future::join_all((0..1_001).map(add)).await;
    let list = rider.ok("SuppressionList", &json!({})).await;
    let list = list["Suppressions"].as_array().unwrap();
    assert_eq!(list.len(), 1_001);
    let addresses: Vec<_> = list.iter().map(|entry| entry["BaseAddress"].as_str().unwrap()).collect();
    assert!(addresses.is_sorted(), "{addresses:?}");
    assert_eq!(other.ok("SuppressionList", &json!({})).await, json!({"Suppressions": []}));
    let present = other.ok("SuppressionPresent", &json!({"EmailAddress": "n0001@b.example"})).await;
    assert_eq!(present["Present"], false);
    let answer = other.call("SuppressionRemove", &json!({"EmailAddress": "n0001@b.example"})).await.unwrap();
    assert_eq!(answer.code(), "error");
}

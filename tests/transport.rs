//! What is a call, and what is none.

use crate::harness::{Answer, FilePart, Multipart, PASSWORD, Server, USER, message, urlencoded};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn what_is_no_call_is_answered_as_the_contract_says() {
    let server = Server::start().await;
    let cases = [
        ("POST", "/webapi/v0/NoSuchMethod", 404),
        ("POST", "/webapi/v0/send", 404),
        ("POST", "/webapi/v0/Send/", 404),
        ("POST", "/webapi/v0/Send/x", 404),
        ("POST", "/webapi/v1/Send", 404),
        ("POST", "/", 404),
        ("POST", "/webapi/", 405),
        ("HEAD", "/webapi/", 405),
        ("POST", "/webapi/v0/", 405),
        ("GET", "/webapi/v0/NoSuchMethod", 404),
        ("PUT", "/webapi/v0/Send", 405),
        ("HEAD", "/webapi/v0/Send", 405),
        ("DELETE", "/webapi/v0/Send", 405),
        ("PATCH", "/webapi/v0/MessageGet", 405),
        ("OPTIONS", "/webapi/v0/SuppressionAdd", 405),
    ];
    for (method, path, status) in cases {
        let request = server
            .request(method, path)
            .basic_auth(USER, Some(PASSWORD))
            .header("Content-Type", FORM)
            .body(urlencoded(&[("request", &message().to_string())]));
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("allow").is_empty(), status != 405, "{method} {path}");
    }
}

#[tokio::test]
async fn a_browser_finds_its_way_without_a_login() {
    let server = Server::start().await;
    let answer = server.get("/webapi/").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/webapi/v0/"));
    for path in ["/webapi/v0/", "/webapi/v0/Send", "/webapi/v0/MessageRawGet"] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(
            answer.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
}

/// A browser adds the login that it remembers to a form that any page may have.
#[tokio::test]
async fn a_page_of_another_site_cannot_call() {
    let server = Server::start().await;
    let form = urlencoded(&[("request", &message().to_string())]);
    let call = |site: &'static str| {
        let request = server.request("POST", "/webapi/v0/Send").basic_auth(USER, Some(PASSWORD));
        Answer::of(request.header("Content-Type", FORM).header("Sec-Fetch-Site", site).body(form.clone()))
    };
    assert_eq!(call("cross-site").await.unwrap().code(), "protocol");
    assert_eq!(call("same-origin").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_malformed_call_is_a_protocol_error() {
    let server = Server::start().await;
    let good = message().to_string();
    let form = |fields: &[(&str, &str)]| urlencoded(fields).into_bytes();
    let multipart = Multipart::content_type();
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("JSON instead of a form", "application/json", good.clone().into()),
        ("plain text", "text/plain", form(&[("request", &good)])),
        ("no content type", "", form(&[("request", &good)])),
        ("nonsense as content type", "x", form(&[("request", &good)])),
        ("an empty form", FORM, Vec::new()),
        ("another field only", FORM, form(&[("Request", &good)])),
        ("an empty request", FORM, form(&[("request", "")])),
        ("two requests", FORM, form(&[("request", &good), ("request", &good)])),
        ("bare words", FORM, form(&[("request", "send it")])),
        ("a list", FORM, form(&[("request", "[]")])),
        ("a string", FORM, form(&[("request", "\"x\"")])),
        ("null", FORM, form(&[("request", "null")])),
        ("half an object", FORM, form(&[("request", &good[..good.len() - 1])])),
        ("an object and more", FORM, form(&[("request", &format!("{good} {good}"))])),
        ("an unknown field", FORM, form(&[("request", r#"{"Too": []}"#)])),
        (
            "an unknown inner field",
            FORM,
            form(&[("request", r#"{"To": [{"Address": "a@b.example", "X": 1}]}"#)]),
        ),
        ("a field of another type", FORM, form(&[("request", r#"{"Subject": 1}"#)])),
        ("a date that is none", FORM, form(&[("request", r#"{"Date": "yesterday"}"#)])),
        (
            "a multipart without boundary",
            "multipart/form-data",
            Multipart::default().text("request", &good).body(),
        ),
        ("a multipart that does not end", &multipart, {
            let mut body = Multipart::default().text("request", &good).body();
            body.truncate(body.len() - 10);
            body
        }),
        ("a multipart that is none", &multipart, b"hello".to_vec()),
        ("a multipart without request", &multipart, Multipart::default().text("other", &good).body()),
        (
            "a file in a misspelt field",
            &multipart,
            Multipart::default()
                .text("request", &good)
                .file(FilePart { field: "attachedFile", name: Some("x"), ..FilePart::default() })
                .body(),
        ),
        ("another kind of multipart", "multipart/mixed; boundary=x", b"--x\r\n\r\n--x--\r\n".to_vec()),
        ("UTF-8 that is none", FORM, b"request=%7B%22Subject%22%3A%22%FF%22%7D".to_vec()),
        ("deep nesting", FORM, form(&[("request", &format!("{{\"To\": {}", "[".repeat(10_000)))])),
    ];
    for (what, content_type, body) in cases {
        let mut request =
            server.request("POST", "/webapi/v0/Send").basic_auth(USER, Some(PASSWORD)).body(body);
        if !content_type.is_empty() {
            request = request.header("Content-Type", content_type);
        }
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.code(), "protocol", "{what}");
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8", "{what}");
    }
    assert_eq!(server.metric("postrider_submissions_total", "result=\"accepted\"").await, 0.0);
}

#[tokio::test]
async fn unusual_but_correct_forms_are_calls() {
    let server = Server::start().await;
    let good = message().to_string();
    let cases = [
        ("a charset", "application/x-www-form-urlencoded; charset=UTF-8", urlencoded(&[("request", &good)])),
        ("capitals", "Application/X-WWW-Form-URLEncoded", urlencoded(&[("request", &good)])),
        ("plus for space", FORM, urlencoded(&[("request", &good)]).replace("%20", "+")),
        ("space around", FORM, urlencoded(&[("request", &format!(" \r\n{good}\n"))])),
        ("more fields", FORM, urlencoded(&[("utf8", "✓"), ("request", &good), ("submit", "Send")])),
    ];
    for (what, content_type, body) in cases {
        let request = server
            .request("POST", "/webapi/v0/Send")
            .basic_auth(USER, Some(PASSWORD))
            .header("Content-Type", content_type)
            .body(body);
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
}

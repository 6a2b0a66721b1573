//! The OpenAPI 3.1 document of the webapi and the event log, made from the table of methods and their types.

use super::{
    methods::{Answer, ApiMethod, METHODS},
    schema::{SCHEMAS, codes},
    send::IDEMPOTENCY_KEY,
};
use crate::http::events;
use serde_json::{Map, Value, json};

/// Form fields for files, with what the files are to the message.
pub(super) const FILE_FIELDS: [(&str, &str); 3] = [
    ("alternativefile", "Further full representations of the message, such as an invitation."),
    ("inlinefile", "Files that the HTML refers to by `cid:` and the `Content-ID` of the part."),
    ("attachedfile", "Attachments."),
];

/// The document.
pub(super) fn document() -> Value {
    let mut paths: Map<_, _> = METHODS
        .iter()
        .map(|method| (format!("/webapi/v0/{}", method.name), json!({"post": operation(method)})))
        .collect();
    paths.insert("/api/v1/events".into(), json!({"get": read_events()}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Postrider webapi",
            "summary": "Sends transactional e-mail, tells what became of it, and shows what came in.",
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "security": [{"login": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"login": {
                "type": "http",
                "scheme": "basic",
                "description": "An e-mail address of the account, and its password.",
            }},
            "schemas": schemas(),
            "responses": responses(),
        },
    })
}

const DESCRIPTION: &str = "A call of the webapi is a form whose field `request` holds a JSON object. A request object must have no \
    unknown fields; a field that is `null` counts as left out. Lists and maps in results are never `null`.";

fn operation(method: &ApiMethod) -> Value {
    let ok = match (method.answer, &SCHEMAS.method(method.name).result) {
        (Answer::Bytes(media_type), _) => json!({media_type: {}}),
        (Answer::Json(_), schema) => json!({"application/json": {"schema": schema}}),
    };
    let description = format!("{} {}", method.summary, method.notes);
    let mut operation = json!({
        "operationId": method.name,
        "summary": method.summary.trim_end_matches('.'),
        "description": description.trim_end(),
        "requestBody": {"required": true, "content": forms(method)},
        "responses": answers(&ok),
    });
    if method.takes_files {
        operation["parameters"] = json!([{
            "name": IDEMPOTENCY_KEY,
            "in": "header",
            "description": "A text of the application's for this message; the same call with it is answered as the first.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }]);
    }
    operation
}

fn read_events() -> Value {
    json!({
        "operationId": "Events",
        "summary": "Reads the event log of the account",
        "description": "Everything that happened to its messages, in order: none is left out, none is there twice. \
            It goes back as far as events are kept.",
        "parameters": events::parameters(),
        "responses": answers(&json!({"application/json": {"schema": SCHEMAS.events}})),
    })
}

/// All answers there are; `ok` is what one has for whom all is well.
fn answers(ok: &Value) -> Value {
    let mut answers = json!({"200": {"description": "The call was done.", "content": ok}});
    for (status, name, _) in REFUSALS {
        answers[status] = json!({"$ref": format!("#/components/responses/{name}")});
    }
    answers
}

/// Both kinds of form.
fn forms(method: &ApiMethod) -> Value {
    let request = &SCHEMAS.method(method.name).request;
    let example: Value = serde_json::from_str(method.example).expect("a test parses all examples");
    let form = json!({
        "schema": {"type": "object", "properties": {"request": request}, "required": ["request"]},
        "encoding": {"request": {"contentType": "application/json"}},
        "example": {"request": example},
    });
    let mut multipart = form.clone();
    if method.takes_files {
        for (field, description) in FILE_FIELDS {
            multipart["schema"]["properties"][field] = json!({
                "type": "array",
                "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                "description": description,
            });
            multipart["encoding"][field] = json!({"headers": {"Content-ID": {"schema": {"type": "string"}}}});
        }
    }
    json!({"multipart/form-data": multipart, "application/x-www-form-urlencoded": form})
}

/// The types, with codes as a plain list of values: more generators of clients know what to do with it.
fn schemas() -> Value {
    let mut schemas = SCHEMAS.definitions.clone();
    let (values, meanings): (Vec<_>, Vec<_>) =
        codes().into_iter().map(|(code, meaning)| (json!(code), format!("- `{code}`: {meaning}\n"))).unzip();
    let code = json!({
        "description": format!("What kind of error it is.\n\n{}", meanings.concat()),
        "type": "string",
        "enum": values,
    });
    schemas.insert("Code".into(), code);
    schemas.into()
}

/// Every other answer there is: status, name in the document, description.
const REFUSALS: [(&str, &str, &str); 5] = [
    ("400", "Refused", "The call was not done."),
    ("401", "Unauthorized", "There is no login, or it is wrong."),
    ("429", "TooManyTries", "Too many logins from this address failed."),
    ("500", "Failed", "The server failed; its operator finds the reason in the log."),
    ("503", "Busy", "The server has too much to do, and nothing of the request was accepted."),
];

fn responses() -> Value {
    let mut responses = json!({});
    for (status, name, description) in REFUSALS {
        responses[name] = json!({"description": description});
        if !matches!(status, "401" | "429") {
            responses[name]["content"] = json!({"application/json": {"schema": SCHEMAS.error}});
        }
        if matches!(status, "429" | "503") {
            let seconds = json!({"type": "integer", "minimum": 0});
            responses[name]["headers"] = json!({
                "Retry-After": {"description": "Seconds to wait.", "required": true, "schema": seconds},
            });
        }
    }
    responses["Unauthorized"]["headers"] = json!({
        "WWW-Authenticate": {"required": true, "schema": {"type": "string"}},
    });
    responses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{form::FileKind, testing::TestServer};

    #[actix_web::test]
    async fn every_example_is_a_request_of_its_method() {
        let server = TestServer::start().await;
        for method in METHODS {
            let example = serde_json::from_str(method.example).unwrap();
            let answer = server.call(method.name, example).await;
            assert!(
                answer.status == 200 || answer.error().1 != "protocol",
                "{}: {}",
                method.name,
                answer.body
            );
        }
    }

    #[test]
    fn every_method_is_in_the_document() {
        let document = document();
        for method in METHODS {
            let operation = &document["paths"][format!("/webapi/v0/{}", method.name)]["post"];
            assert_eq!(operation["operationId"], method.name);
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), METHODS.len() + 1);
    }

    #[test]
    fn types_are_exact() {
        let schemas = schemas();
        for (pointer, expected) in [
            ("/SendRequest/additionalProperties", json!(false)),
            ("/SendRequest/properties/Date/type", json!(["string", "null"])),
            ("/SendRequest/properties/Date/format", json!("date-time")),
            ("/SendRequest/properties/RequireTLS/type", json!(["boolean", "null"])),
            ("/SendRequest/properties/Subject/type", json!("string")),
            ("/SendRequest/properties/Headers/items/maxItems", json!(2)),
            ("/File/properties/Data/contentEncoding", json!("base64")),
            ("/SendResult/required", json!(["MessageID", "Submissions"])),
            ("/Submission/properties/QueueMsgID/format", json!("int64")),
            ("/Message/properties/Date/type", json!(["string", "null"])),
            ("/Suppression/properties/Created/format", json!("date-time")),
            ("/Code/enum/0", json!("protocol")),
        ] {
            assert_eq!(schemas.pointer(pointer), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn file_fields_are_those_of_forms() {
        for (field, _) in FILE_FIELDS {
            assert!(FileKind::of_field(field).is_some(), "{field}");
        }
    }
}

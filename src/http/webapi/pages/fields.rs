//! The fields of requests and results, written from their schemas.

use super::super::{
    methods::{Answer, ApiMethod},
    schema::SCHEMAS,
};
use maud::{Markup, html};
use serde_json::Value;

/// Every field of the request and of the result of a method.
pub(super) fn fields(method: &ApiMethod) -> Markup {
    let schemas = SCHEMAS.method(method.name);
    html! {
        section {
            h2 { "Fields of the request" }
            (types(schemas.request.as_value()))
        }
        section {
            h2 { "Result" }
            @match (&schemas.result, method.answer) {
                (Some(result), _) => (types(result.as_value())),
                (None, Answer::Bytes("*/*")) => p { "The octets, with their content type." },
                (None, Answer::Bytes(media_type)) => p { "The octets, as " code { (media_type) } "." },
                (None, Answer::Json(_)) => {}
            }
        }
    }
}

/// An object, and then those that it is made of.
fn types(root: &Value) -> Markup {
    let mut found = vec![];
    collect(root, &mut found);
    html! {
        @for (number, (name, schema)) in found.iter().enumerate() {
            @if number > 0 { h3 { (name) } }
            p { (prose(text(schema, "description"))) }
            @if let Some(properties) = schema["properties"].as_object() {
                dl {
                    @for (field, schema) in properties {
                        dt { code { (field) } " " small { (type_name(schema)) } }
                        dd { (prose(text(schema, "description"))) }
                    }
                }
            }
        }
    }
}

/// Every type that `schema` mentions, each once.
fn collect(schema: &Value, found: &mut Vec<(&'static str, &'static Value)>) {
    if let Some((name, definition)) = SCHEMAS.resolve(schema) {
        if found.iter().any(|(known, _)| *known == name) {
            return;
        }
        found.push((name, definition));
        for property in definition["properties"].as_object().into_iter().flat_map(|all| all.values()) {
            collect(property, found);
        }
    }
    collect_item(schema, found);
}

fn collect_item(schema: &Value, found: &mut Vec<(&'static str, &'static Value)>) {
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            collect(&schema[inner], found);
        }
    }
}

/// The type of a field, for people.
fn type_name(schema: &Value) -> String {
    if let Some((name, _)) = SCHEMAS.resolve(schema) {
        return name.to_owned();
    }
    if let Some(pair) = schema["prefixItems"].as_array() {
        return format!("[{}]", pair.iter().map(type_name).collect::<Vec<_>>().join(", "));
    }
    match &schema["type"] {
        Value::Array(types) => {
            let types: Vec<_> = types.iter().map(|name| with_type(schema, name)).collect();
            types.join(" or ")
        }
        name => match name.as_str().unwrap_or_default() {
            "array" => format!("list of {}", type_name(&schema["items"])),
            "object" => format!("map of string to {}", type_name(&schema["additionalProperties"])),
            _ => with_type(schema, name),
        },
    }
}

fn with_type(schema: &Value, name: &Value) -> String {
    match (name.as_str().unwrap_or_default(), text(schema, "format"), text(schema, "contentEncoding")) {
        ("string", "date-time", _) => "time (RFC 3339)".into(),
        ("string", _, "base64") => "string (base64)".into(),
        (name, ..) => name.into(),
    }
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema[key].as_str().unwrap_or_default()
}

/// A text in which backticks enclose code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (number, piece) in text.split('`').enumerate() {
            @if number % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_have_names_that_people_understand() {
        let pair = json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "string"}]});
        for (schema, name) in [
            (json!({"type": "boolean"}), "boolean"),
            (json!({"type": ["boolean", "null"]}), "boolean or null"),
            (json!({"type": "integer", "format": "int64"}), "integer"),
            (json!({"type": ["string", "null"], "format": "date-time"}), "time (RFC 3339) or null"),
            (json!({"type": "string", "contentEncoding": "base64"}), "string (base64)"),
            (json!({"type": "array", "items": {"$ref": "#/components/schemas/File"}}), "list of File"),
            (json!({"type": "array", "items": pair}), "list of [string, string]"),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                "map of string to string",
            ),
        ] {
            assert_eq!(type_name(&schema), name);
        }
    }

    #[test]
    fn code_stands_between_backticks() {
        assert_eq!(prose("a `b` <c>").into_string(), "a <code>b</code> &lt;c&gt;");
    }
}

//! What requests and results look like, as JSON Schema made from their types.

use super::methods::{Answer, METHODS};
use crate::http::{
    error::{Code, ErrorObject},
    events::Events,
};
use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
    transform::RecursiveTransform,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::LazyLock};

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The schemas of all methods.
pub(super) struct Schemas {
    /// By name; schemas refer to them as `#/components/schemas/<name>`.
    pub(super) definitions: Map<String, Value>,
    /// Of the error object.
    pub(super) error: Schema,
    /// Of a stretch of the event log.
    pub(super) events: Schema,
    methods: BTreeMap<&'static str, MethodSchemas>,
}

/// The schemas of a method.
pub(super) struct MethodSchemas {
    /// Of its request object.
    pub(super) request: Schema,
    /// Of its result, when that is JSON.
    pub(super) result: Option<Schema>,
}

/// Made at first use.
pub(super) static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::new);

impl Schemas {
    fn new() -> Schemas {
        let [mut requests, mut results] = [Contract::Deserialize, Contract::Serialize].map(generator);
        let methods = METHODS.iter().map(|method| {
            let request = (method.request)(&mut requests);
            let result = match method.answer {
                Answer::Json(schema) => Some(schema(&mut results)),
                Answer::Bytes(_) => None,
            };
            (method.name, MethodSchemas { request, result })
        });
        let methods = methods.collect();
        let error = of::<ErrorObject<'_>>(&mut results);
        let events = of::<Events>(&mut results);
        let mut definitions = requests.take_definitions(true);
        for (name, schema) in results.take_definitions(true) {
            let twin = definitions.insert(name, schema);
            assert!(twin.is_none(), "a request and a result have types of one name: {twin:?}");
        }
        Schemas { definitions, error, events, methods }
    }

    /// Of a method of the table.
    pub(super) fn method(&self, name: &str) -> &MethodSchemas {
        &self.methods[name]
    }

    /// The definition that a schema refers to.
    pub(super) fn resolve(&self, schema: &Value) -> Option<(&str, &Value)> {
        let name = schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")?;
        self.definitions.get_key_value(name).map(|(name, schema)| (name.as_str(), schema))
    }
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.contract = contract;
    // What is left out is empty, which no address may be that has to be there.
    let without_defaults = RecursiveTransform(|schema: &mut Schema| drop(schema.remove("default")));
    settings.with_transform(without_defaults).into_generator()
}

/// The codes of errors, each with what it means.
pub(super) fn codes() -> Vec<(String, String)> {
    let schema = schemars::schema_for!(Code);
    let variants = schema.get("oneOf").and_then(Value::as_array);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    variants.into_iter().flatten().map(|code| (text(&code["const"]), text(&code["description"]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_and_every_type_is_explained() {
        for (name, schema) in &SCHEMAS.definitions {
            assert!(schema["description"].is_string(), "{name}");
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{field}");
            }
        }
    }

    #[test]
    fn every_code_is_explained() {
        let codes = codes();
        assert!(
            codes.iter().any(|(code, meaning)| code == "malformedMessageID" && meaning.contains("id@domain"))
        );
        for (code, meaning) in codes {
            assert!(!code.is_empty() && !meaning.is_empty(), "{code}: {meaning}");
        }
    }
}

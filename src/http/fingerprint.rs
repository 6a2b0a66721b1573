//! A digest of what a form asks for, by which one that comes again is known.

use super::form::FormFile;
use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, io};

/// SHA-256 of what a request object means and of its files. Blocks where files lie on disk.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn fingerprint(request: &Meaning, files: &[FormFile]) -> io::Result<[u8; 32]> {
    let mut all = Context::new(&SHA256);
    all.update(&request.0);
    for FormFile { kind, name, content_type, content_id, data } in files {
        for text in [&format!("{kind:?}"), name, content_type, content_id] {
            all.update(&of(text.as_bytes()));
        }
        let mut octets = Context::new(&SHA256);
        data.in_pieces(|piece| octets.update(piece))?;
        all.update(octets.finish().as_ref());
    }
    Ok(finished(all))
}

/// A digest of what a JSON value means: the order of fields and the white space are nothing, and a field that is null
/// is as good as left out. Of the value itself, nothing is kept while it is read but the names in its objects.
pub(super) struct Meaning([u8; 32]);

impl<'de> Deserialize<'de> for Meaning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Meaning, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Meaning;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Meaning, E> {
                Ok(Meaning(of(b"null")))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Meaning, E> {
                Ok(Meaning(of(format!("{value}").as_bytes())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Meaning, E> {
                Ok(Meaning(of(format!("{value}").as_bytes())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Meaning, E> {
                Ok(Meaning(of(format!("{value}").as_bytes())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Meaning, E> {
                Ok(Meaning(of(format!("{value:?}").as_bytes())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Meaning, E> {
                let mut all = Context::new(&SHA256);
                // Tells a text from a number, and that from a list.
                all.update(b"\"");
                all.update(text.as_bytes());
                Ok(Meaning(finished(all)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Meaning, A::Error> {
                let mut all = Context::new(&SHA256);
                all.update(b"[");
                while let Some(Meaning(one)) = list.next_element()? {
                    all.update(&one);
                }
                Ok(Meaning(finished(all)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Meaning, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = object.next_entry::<String, Option<Meaning>>()? {
                    if let Some(Meaning(value)) = value {
                        fields.insert(name, value);
                    }
                }
                let mut all = Context::new(&SHA256);
                all.update(b"{");
                for (name, value) in fields {
                    all.update(&of(name.as_bytes()));
                    all.update(&value);
                }
                Ok(Meaning(finished(all)))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

fn of(octets: &[u8]) -> [u8; 32] {
    array(digest(&SHA256, octets))
}

fn finished(context: Context) -> [u8; 32] {
    array(context.finish())
}

fn array(digest: Digest) -> [u8; 32] {
    digest.as_ref().try_into().expect("SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    use super::{super::form::FileKind, *};
    use bytes::Bytes;
    use std::collections::BTreeSet;

    fn of(said: &str, files: &[FormFile]) -> [u8; 32] {
        fingerprint(&serde_json::from_str(said).unwrap(), files).unwrap()
    }

    fn file(name: &str, data: &'static str) -> FormFile {
        FormFile {
            kind: FileKind::Attached,
            name: name.into(),
            content_type: String::new(),
            content_id: String::new(),
            data: Bytes::from(data).into(),
        }
    }

    #[test]
    fn a_request_is_the_same_in_another_order_and_with_other_white_space() {
        let first = of(r#"{"To":[{"Name":"A","Address":"a@b"}],"Text":"é","SaveSent":true}"#, &[]);
        let other_order = r#" { "SaveSent": true, "Text": "\u00e9",
            "To": [ {"Address": "a@b", "Name": "A"} ], "RequireTLS": null } "#;
        for (said, same) in [
            (other_order, true),
            (r#"{"To":[{"Name":"a@b","Address":"A"}],"Text":"é","SaveSent":true}"#, false),
            (r#"{"To":[{"Name":"A","Address":"a@b"}],"Text":"é ","SaveSent":true}"#, false),
            (r#"{"To":[{"Name":"A"},{"Address":"a@b"}],"Text":"é","SaveSent":true}"#, false),
            (r#"{"To":[{"Name":"A","Address":"a@b"}],"HTML":"é","SaveSent":true}"#, false),
            (r#"{"To":[{"Name":"A","Address":"a@b"}],"Text":"é","SaveSent":false}"#, false),
            (r#"{"To":[{"Name":"A","Address":"a@b"}],"Text":"é"}"#, false),
        ] {
            assert_eq!(of(said, &[]) == first, same, "{said}");
        }
    }

    #[test]
    fn values_that_look_alike_are_told_apart() {
        let values = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "1.0",
            "1.5",
            r#""""#,
            r#""null""#,
            r#""1""#,
            r#""[""#,
            "[]",
            "[1]",
            "[[1]]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[null]",
            "{}",
            r#"{"":1}"#,
            r#"{"1":1}"#,
            r#"["1",1]"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":1,"b":1}"#,
        ];
        let all: BTreeSet<_> = values.into_iter().map(|value| of(value, &[])).collect();
        assert_eq!(all.len(), values.len());
    }

    #[test]
    fn files_are_what_is_told_about_them_their_octets_and_their_order() {
        let first = of("{}", &[file("a", "AAAA"), file("b", "B")]);
        assert_eq!(of("{}", &[file("a", "AAAA"), file("b", "B")]), first);
        let inline = FormFile { kind: FileKind::Inline, ..file("b", "B") };
        for files in [
            &[file("a", "AAAB"), file("b", "B")][..],
            &[file("a", "AAA"), file("b", "AB")],
            &[file("b", "B"), file("a", "AAAA")],
            &[file("a", "AAAA"), file("c", "B")],
            &[file("a", "AAAA"), inline],
            &[file("a", "AAAA")],
            &[],
        ] {
            assert_ne!(of("{}", files), first, "{files:?}");
        }
    }
}

//! A digest of what a form asks for, by which one that comes again is known.

use super::form::FormFile;
use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};
use std::io;

/// SHA-256 of a request object and its files. Blocks where files lie on disk.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn fingerprint(mut said: Value, files: &[FormFile]) -> io::Result<[u8; 32]> {
    // Which field comes first means nothing.
    said.sort_all_objects();
    let mut digest = Digest(Context::new(&SHA256));
    serde_json::to_writer(&mut digest, &said)?;
    for FormFile { kind, name, content_type, content_id, data } in files {
        let about = json!([format!("{kind:?}"), name, content_type, content_id, data.size()]);
        serde_json::to_writer(&mut digest, &about)?;
        data.in_pieces(|piece| digest.0.update(piece))?;
    }
    Ok(digest.0.finish().as_ref().try_into().expect("SHA-256 has 32 octets"))
}

struct Digest(Context);

impl io::Write for Digest {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::form::FileKind, *};
    use bytes::Bytes;

    fn of(said: &str, files: &[FormFile]) -> [u8; 32] {
        fingerprint(serde_json::from_str(said).unwrap(), files).unwrap()
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
        let first = of(r#"{"To":[{"Name":"A","Address":"a@b"}],"Text":"é"}"#, &[]);
        for (said, same) in [
            ("{\n \"Text\": \"\\u00e9\",\t\"To\": [ {\"Address\": \"a@b\", \"Name\": \"A\"} ] }", true),
            (r#"{"To":[{"Name":"a@b","Address":"A"}],"Text":"é"}"#, false),
            (r#"{"To":[{"Name":"A","Address":"a@b"}],"Text":"é "}"#, false),
            (r#"{"To":[{"Name":"A"},{"Address":"a@b"}],"Text":"é"}"#, false),
            (r#"{"To":[{"Name":"A","Address":"a@b"}],"HTML":"é"}"#, false),
        ] {
            assert_eq!(of(said, &[]) == first, same, "{said}");
        }
        assert_ne!(of(r#"{"References":["a","b"]}"#, &[]), of(r#"{"References":["b","a"]}"#, &[]));
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

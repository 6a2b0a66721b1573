//! Bodies of webapi calls, written byte by byte so that tests know what is sent.

use std::fmt::Write;

/// The body of an `application/x-www-form-urlencoded` call.
pub(crate) fn urlencoded(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        percent(&mut body, name);
        body.push('=');
        percent(&mut body, value);
    }
    body
}

fn percent(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("strings take everything");
        }
    }
}

/// A `multipart/form-data` body.
#[derive(Default)]
pub(crate) struct Multipart(Vec<u8>);

/// A file in a form.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FilePart<'a> {
    /// The form field.
    pub(crate) field: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) content_id: Option<&'a str>,
    pub(crate) data: &'a [u8],
}

impl Multipart {
    const BOUNDARY: &'static str = "=-a boundary that no test data has-=";

    pub(crate) fn content_type() -> String {
        format!("multipart/form-data; boundary=\"{}\"", Multipart::BOUNDARY)
    }

    pub(crate) fn text(self, field: &str, value: &str) -> Multipart {
        self.file(FilePart { field, data: value.as_bytes(), ..FilePart::default() })
    }

    pub(crate) fn file(mut self, file: FilePart<'_>) -> Multipart {
        let mut head =
            format!("--{}\r\nContent-Disposition: form-data; name=\"{}\"", Multipart::BOUNDARY, file.field);
        if let Some(name) = file.name {
            write!(head, "; filename=\"{name}\"").expect("strings take everything");
        }
        for (header, value) in [("Content-Type", file.content_type), ("Content-ID", file.content_id)] {
            if let Some(value) = value {
                write!(head, "\r\n{header}: {value}").expect("strings take everything");
            }
        }
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(b"\r\n\r\n");
        self.0.extend_from_slice(file.data);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn body(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{}--\r\n", Multipart::BOUNDARY).as_bytes());
        self.0
    }
}

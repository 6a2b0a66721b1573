//! Transfer encodings, as others write them (RFC 2045, 6).

use mail_parser::decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode};
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;

/// How the octets of a part went over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    Identity,
    QuotedPrintable,
    Base64,
}

/// What is decoded at once of quoted-printable, about.
const PIECE: usize = 256 * 1024;

impl Transfer {
    /// From the value of Content-Transfer-Encoding. What is unknown leaves the octets alone.
    pub(super) fn named(value: &[u8]) -> Transfer {
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
        let start = value.iter().position(is_token).unwrap_or(value.len());
        let name: Vec<u8> = value[start..].iter().copied().take_while(is_token).collect();
        match name.to_ascii_lowercase().as_slice() {
            b"base64" => Transfer::Base64,
            b"quoted-printable" => Transfer::QuotedPrintable,
            _ => Transfer::Identity,
        }
    }

    /// The octets that were encoded.
    pub(super) fn decode(self, body: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Transfer::Identity => Cow::Borrowed(body),
            Transfer::Base64 => Cow::Owned(decoded_base64(body)),
            Transfer::QuotedPrintable => {
                let mut pieces = line_pieces(body).map(decoded_quoted_printable);
                let mut all = pieces.next().unwrap_or_default();
                pieces.for_each(|piece| all.extend_from_slice(&piece));
                Cow::Owned(all)
            }
        }
    }

    /// How many octets [`Transfer::decode`] gives, without having them all at once.
    pub(super) fn decoded_len(self, body: &[u8]) -> usize {
        match self {
            Transfer::Identity => body.len(),
            Transfer::Base64 => body.split(|b| *b == b'=').map(base64_len).sum(),
            Transfer::QuotedPrintable => {
                line_pieces(body).map(|piece| decoded_quoted_printable(piece).len()).sum()
            }
        }
    }

    /// The start of a body, of at most `max` octets, whose decoded octets are the start of the whole.
    pub(super) fn start(self, body: &[u8], max: usize) -> &[u8] {
        if body.len() <= max {
            return body;
        }
        match (self, memchr(b'=', &body[max.saturating_sub(2)..max])) {
            (Transfer::QuotedPrintable, Some(at)) => &body[..max.saturating_sub(2) + at],
            _ => &body[..max],
        }
    }
}

/// Characters that are not of base64 are passed over (RFC 2045, 6.8).
fn decoded_base64(body: &[u8]) -> Vec<u8> {
    base64_decode(body).unwrap_or_else(|| {
        let known: Vec<u8> = body.iter().copied().filter(|b| is_base64(*b) || *b == b'=').collect();
        base64_decode(&known).unwrap_or_default()
    })
}

/// Of characters without padding between them.
fn base64_len(run: &[u8]) -> usize {
    let sextets = run.iter().filter(|b| is_base64(**b)).count();
    sextets / 4 * 3 + [0, 0, 1, 2][sextets % 4]
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')
}

/// A `=` that begins neither an octet nor a soft line break stands for itself (RFC 2045, 6.7).
pub(super) fn decoded_quoted_printable(body: &[u8]) -> Vec<u8> {
    if memchr_iter(b'=', body).all(|at| is_quoting(&body[at + 1..])) {
        return quoted_printable_decode(body).unwrap_or_default();
    }
    let mut repaired = Vec::with_capacity(body.len() + 64);
    let mut copied = 0;
    for at in memchr_iter(b'=', body) {
        if !is_quoting(&body[at + 1..]) {
            repaired.extend_from_slice(&body[copied..at]);
            repaired.extend_from_slice(b"=3D");
            copied = at + 1;
        }
    }
    repaired.extend_from_slice(&body[copied..]);
    quoted_printable_decode(&repaired).unwrap_or_default()
}

fn is_quoting(rest: &[u8]) -> bool {
    match rest {
        [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        _ => matches!(rest.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r')), None | Some(b'\n')),
    }
}

/// The body in pieces that end with a line, where lines end.
fn line_pieces(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end =
            rest.get(PIECE..).and_then(|after| memchr(b'\n', after)).map_or(rest.len(), |at| PIECE + at + 1);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encodings_are_decoded_as_far_as_they_make_sense() {
        let rows = [
            ("base64", "aGk=", "hi"),
            (" Base64 (of course)", "a\r\nG k=!!", "hi"),
            ("base64;", "aGk", "hi"),
            ("base64", "aGk=aGk=", "hihi"),
            ("base64", "a", ""),
            ("quoted-printable", "=C3=A4=\r\n=c3=a4 \t\r\nx=3D", "ää\r\nx="),
            ("Quoted-Printable", "1=2=3 =C3=A4 =", "1=2=3 ä "),
            ("quoted-printable", "a= \t\r\nb", "ab"),
            ("quoted-printable", "=4\r\n1==41", "=4\r\n1=A"),
            ("quoted-printable", "a\nb\n", "a\nb\n"),
            ("8bit", "=C3", "=C3"),
            ("x-uuencode", "=C3", "=C3"),
            ("", "=C3", "=C3"),
        ];
        for (name, body, expected) in rows {
            let transfer = Transfer::named(name.as_bytes());
            let decoded = transfer.decode(body.as_bytes());
            assert_eq!(String::from_utf8_lossy(&decoded), expected, "{name}: {body:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_length_is_that_of_what_is_decoded_and_a_start_gives_a_start(
            body in "([ -~]|=|=[0-9A-F]{2}|\r\n){0,80}", max in 0_usize..100, large in prop::bool::weighted(0.1),
        ) {
            let body = if large { body.repeat(2 * PIECE / body.len().max(1)) } else { body };
            for transfer in [Transfer::Identity, Transfer::QuotedPrintable, Transfer::Base64] {
                let decoded = transfer.decode(body.as_bytes());
                prop_assert_eq!(transfer.decoded_len(body.as_bytes()), decoded.len());
                let start = transfer.start(body.as_bytes(), max);
                prop_assert!(start.len() <= max);
                // White space at the end of a line is no part of it, which the start cannot know.
                let start = transfer.decode(start);
                prop_assert!(decoded.starts_with(start.trim_ascii_end()), "{:?}", body);
            }
        }
    }
}

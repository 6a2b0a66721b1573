//! Octets of whatever charset to text. mail-parser decodes; here is what people call a charset, and what to do
//! where its name says nothing.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use mail_parser::decoders::charsets::{DecoderFnc, map::charset_decoder};
use std::borrow::Cow;

/// How octets become text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Charset {
    /// No name, one that nobody knows, or ASCII, which many say whatever they write: valid UTF-8 is UTF-8,
    /// anything else is windows-1252.
    Guessed,
    Utf8,
    /// mail-parser loses characters of it.
    Utf7,
    Other(DecoderFnc),
}

impl Charset {
    /// The charset of that name.
    pub(super) fn named(name: &str) -> Charset {
        let name =
            name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).to_ascii_lowercase();
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.as_str() {
            "ascii" | "usascii" | "ansix341968" | "" => return Charset::Guessed,
            "utf8" | "xutf8" | "unicode11utf8" | "unicode20utf8" | "xunicode20utf8" | "cp65001" => {
                return Charset::Utf8;
            }
            "utf7" | "unicode11utf7" | "csutf7" => return Charset::Utf7,
            // Nothing can decode these; the ASCII in them can still be read.
            "iso2022kr" | "csiso2022kr" | "iso2022cn" | "iso2022cnext" | "hzgb2312" | "replacement" => {
                return Charset::Guessed;
            }
            _ => {}
        }
        let decoder =
            charset_decoder(name.as_bytes()).or_else(|| charset_decoder(known_as(&plain)?.as_bytes()));
        decoder.map_or(Charset::Guessed, Charset::Other)
    }

    /// Decodes all there is.
    pub(super) fn decode<'a>(self, octets: &'a [u8]) -> Cow<'a, str> {
        match self {
            Charset::Guessed => guessed(octets),
            Charset::Utf8 => String::from_utf8_lossy(octets),
            Charset::Utf7 => Cow::Owned(utf7(octets)),
            Charset::Other(decoder) => Cow::Owned(decoder(octets)),
        }
    }

    /// Decodes the start of a longer text. The last character may be a replacement.
    pub(super) fn decode_start<'a>(self, octets: &'a [u8]) -> Cow<'a, str> {
        match (self, std::str::from_utf8(octets)) {
            // Cut within a character, which does not make it windows-1252.
            (Charset::Guessed, Err(error)) if error.error_len().is_none() => String::from_utf8_lossy(octets),
            _ => self.decode(octets),
        }
    }
}

/// Text of which nobody says how it is encoded.
pub(crate) fn guessed(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => charset_decoder(b"windows-1252")
            .map_or_else(|| String::from_utf8_lossy(octets), |decoder| Cow::Owned(decoder(octets))),
    }
}

/// What mail-parser calls a charset that it does not know under this name, of which only letters and digits are
/// given.
fn known_as(plain: &str) -> Option<Cow<'static, str>> {
    let name = match plain.strip_prefix('x').unwrap_or(plain) {
        "eucjp" => "euc-jp",
        "euckr" | "uhc" => "euc-kr",
        "euccn" | "eucgb2312cn" => "gbk",
        "gb180302000" => "gb18030",
        "big5hkscs" | "big5" => "big5",
        "shiftjis" => "shift_jis",
        "koi8t" => "koi8-r",
        "utf16" | "ucs2" => "utf-16",
        rest => {
            let number = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
            return match &rest[..rest.len() - number.len()] {
                "latin" => charset_decoder(plain.as_bytes()).map(|_| plain.to_owned().into()),
                "iso" => Some(format!("iso-8859-{}", number.strip_prefix("8859")?).into()),
                "cp" | "win" | "windows" | "ms" | "mscp" | "ibm" => code_page(number),
                _ => None,
            };
        }
    };
    Some(name.into())
}

fn code_page(number: &str) -> Option<Cow<'static, str>> {
    let name = match number {
        "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258" => {
            return Some(format!("windows-{number}").into());
        }
        "850" => "cp850",
        "866" => "cp866",
        "874" => "windows-874",
        "932" | "31j" => "windows-31j",
        "936" => "gbk",
        "949" => "windows-949",
        "950" => "big5",
        _ => return None,
    };
    Some(name.into())
}

/// RFC 2152. What is wrong in it becomes replacement characters.
fn utf7(octets: &[u8]) -> String {
    const PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&STANDARD, PADDING);
    let mut text = String::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = memchr::memchr(b'+', rest) {
        text.push_str(&guessed(&rest[..at]));
        rest = &rest[at + 1..];
        let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        let (shifted, after) = rest.split_at(rest.iter().take_while(|b| is_base64(b)).count());
        rest = after.strip_prefix(b"-").unwrap_or(after);
        if shifted.is_empty() {
            text.push('+');
            continue;
        }
        // A single sextet at the end is no octet.
        let whole = &shifted[..shifted.len() - usize::from(shifted.len() % 4 == 1)];
        let units = engine.decode(whole).unwrap_or_default();
        let units = units.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
        text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    text.push_str(&guessed(rest));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_have_many_names() {
        let rows: [(&str, &[u8], &str); 47] = [
            ("utf-8", "é☺".as_bytes(), "é☺"),
            (" 'UTF8' ", "é".as_bytes(), "é"),
            ("utf-8", b"a\xe4b", "a\u{fffd}b"),
            ("us-ascii", "é".as_bytes(), "é"),
            ("us-ascii", b"\x93a\x94", "“a”"),
            ("x-unknown", b"\xe4", "ä"),
            ("unheard-of", "ä".as_bytes(), "ä"),
            ("iso-8859-1", b"\xe4\x80", "ä€"),
            ("ISO_8859-1:1987", b"\xe4", "ä"),
            ("iso8859-15", b"\xa4", "€"),
            ("ISO 8859-2", b"\xb1", "ą"),
            ("latin-2", b"\xb1", "ą"),
            ("iso-8859-5", b"\xbf", "П"),
            ("iso-8859-7", b"\xc3", "Γ"),
            ("iso-8859-8-i", b"\xf9\xec", "של"),
            ("iso-8859-9", b"\xfd", "ı"),
            ("windows-1250", b"\x9a", "š"),
            ("windows-1251", b"\xcf", "П"),
            ("win-1251", b"\xcf", "П"),
            ("cp-1251", b"\xcf", "П"),
            ("Windows1252", b"\x80", "€"),
            ("windows-1253", b"\xca", "Κ"),
            ("windows-1254", b"\xfd", "ı"),
            ("windows-1255", b"\xf9", "ש"),
            ("windows-1256", b"\xe3", "م"),
            ("windows-1257", b"\xf5", "õ"),
            ("windows-1258", b"\xe0", "à"),
            ("koi8-r", b"\xf0\xd2", "Пр"),
            ("koi8-u", b"\xa6", "і"),
            ("gb2312", b"\xc4\xe3", "你"),
            ("GBK", b"\xc4\xe3", "你"),
            ("cp936", b"\xc4\xe3", "你"),
            ("gb18030", b"\x81\x30\x81\x30", "\u{80}"),
            ("big5", b"\xa7A", "你"),
            ("x-big5", b"\xa7A", "你"),
            ("shift_jis", b"\x83n", "ハ"),
            ("x-ms-cp932", b"\x83n", "ハ"),
            ("iso-2022-jp", b"\x1b$B%O\x1b(B.", "ハ."),
            ("euc-jp", b"\xa5\xcf", "ハ"),
            ("euc-kr", b"\xbe\xc8", "안"),
            ("ks_c_5601-1987", b"\xbe\xc8", "안"),
            ("utf-16", b"\xfe\xff\x00a", "a"),
            ("utf-16", b"a\0b\0", "ab"),
            ("utf-16be", b"\0a", "a"),
            ("macintosh", b"\x87", "á"),
            ("iso-2022-kr", b"\x1b$)Cplain", "\x1b$)Cplain"),
            ("", b"\xa9 1999", "© 1999"),
        ];
        for (name, octets, text) in rows {
            assert_eq!(Charset::named(name).decode(octets), text, "{name}");
        }
    }

    #[test]
    fn utf_7_is_read_as_its_specification_says() {
        let rows = [
            ("Hi Mom -+Jjo--!", "Hi Mom -☺-!"),
            ("1 +- 1", "1 + 1"),
            ("+ZeVnLIqe", "日本語"),
            ("h+AOQ b+AOQ.", "hä bä."),
            ("+2D3eAA-", "😀"),
            ("+2D0-", "\u{fffd}"),
            ("+A", ""),
            ("+", "+"),
        ];
        for (octets, text) in rows {
            assert_eq!(Charset::named("utf-7").decode(octets.as_bytes()), text, "{octets}");
        }
    }

    #[test]
    fn a_start_that_ends_within_a_character_is_still_utf_8() {
        let octets = "é☺".as_bytes();
        assert_eq!(Charset::Guessed.decode_start(&octets[..4]), "é\u{fffd}");
        assert_eq!(Charset::Guessed.decode_start(b"\xe4a"), "äa");
    }
}

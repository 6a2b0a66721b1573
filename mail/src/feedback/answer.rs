//! Replies as reports quote them.

use crate::EnhancedCode;

/// A reply, with what a client makes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) enhanced: Option<EnhancedCode>,
    pub(super) text: String,
}

/// What says that a reply follows, besides a colon or a quotation mark.
const INTRODUCTIONS: [&str; 8] =
    ["smtp", "<<<", "said", "returned", "responded", "replied", "response", "error"];

impl Answer {
    /// `550 5.1.1 text`, or lines run together as `550-5.1.1 text 550 5.1.1 more`. Texts of people may stand in front
    /// (`host said: 550 ...`). A number that nothing introduces is no reply.
    pub(super) fn read(said: &str) -> Option<Answer> {
        let words: Vec<_> = said.split(' ').filter(|word| !word.is_empty()).collect();
        let (at, opening, first) = (0..words.len()).find_map(|at| {
            let before = at.checked_sub(1).map(|before| words[before]);
            let (opening, word) = opened(words[at]);
            let fits = opening.is_some() || before.is_none_or(introduces);
            (fits && reply_code(word).is_some()).then_some((at, opening, word))
        })?;
        let code = reply_code(first)?;
        let several_lines = first.len() > 3;
        let mut enhanced = None;
        let mut text = Vec::new();
        let rest = words[at + 1..].iter().copied();
        let mut words = std::iter::once(first).chain(rest).enumerate().peekable();
        while let Some((place, word)) = words.next() {
            if (place > 0 && !several_lines) || reply_code(word) != Some(code) {
                text.push(word);
                continue;
            }
            let behind = word[3..].trim_start_matches('-');
            let behind = match behind {
                "" => words.peek().map_or("", |(_, next)| next),
                behind => behind,
            };
            let found = enhanced_code(behind, code);
            if place == 0 {
                enhanced = found;
            }
            let repeats = found.is_some() && found == enhanced;
            if word.len() <= 4 && repeats {
                words.next();
            } else if word.len() > 4 && !repeats {
                text.push(behind);
            }
        }
        let text = text.join(" ");
        let text = opening.map_or(&*text, |opening| text.trim_end_matches([opening, ' '])).to_owned();
        Some(Answer { code, enhanced, text })
    }
}

/// What a reply can stand behind in one word, and the rest: `'550`, `#550` (Exchange), `smtp;550`.
fn opened(word: &str) -> (Option<char>, &str) {
    match word.rfind(['\'', '"', '#', ';']) {
        Some(at) => (word[at..].chars().next(), &word[at + 1..]),
        None => (None, word),
    }
}

fn introduces(word: &str) -> bool {
    word.ends_with([':', ';', '\'', '"'])
        || INTRODUCTIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// A word that begins a line of a reply: three digits, alone or with a hyphen behind (RFC 5321, 4.2).
fn reply_code(word: &str) -> Option<u16> {
    let digits = word.get(..3)?;
    let fits = matches!(digits.as_bytes()[0], b'2' | b'4' | b'5')
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !matches!(word.as_bytes().get(3), Some(b) if *b != b'-');
    fits.then(|| digits.parse().ok()).flatten()
}

/// The enhanced code that a line of a reply begins with, if it is of the class of `code` (RFC 2034, 4).
fn enhanced_code(word: &str, code: u16) -> Option<EnhancedCode> {
    let found: EnhancedCode = word.trim_end_matches(':').parse().ok()?;
    (u16::from(found.class()) == code / 100).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &str) -> Option<(u16, String, String)> {
        let answer = Answer::read(said)?;
        let enhanced = answer.enhanced.map(|code| code.to_string()).unwrap_or_default();
        Some((answer.code, enhanced, answer.text))
    }

    #[test]
    fn a_reply_is_found_where_it_begins() {
        for (said, code, enhanced, text) in [
            ("550 5.1.1 no such user", 550, "5.1.1", "no such user"),
            ("550 5.1.1: no such user", 550, "5.1.1", "no such user"),
            (
                "550-5.1.1 The account 550-5.1.1 does not 550 5.1.1 exist",
                550,
                "5.1.1",
                "The account does not exist",
            ),
            ("550-no 550-such 550 user", 550, "", "no such user"),
            ("550- no 550 such user", 550, "", "no such user"),
            ("550 no mailbox 550 here", 550, "", "no mailbox 550 here"),
            ("550 #5.1.0 Address rejected.", 550, "", "#5.1.0 Address rejected."),
            ("550 4.1.1 of another class", 550, "", "4.1.1 of another class"),
            ("554", 554, "", ""),
            (
                "host mx.example[192.0.2.1] said: 550 5.2.1 off (in reply to RCPT TO command)",
                550,
                "5.2.1",
                "off (in reply to RCPT TO command)",
            ),
            ("SMTP error from remote mail server after RCPT TO:<a@b.example>: 550 no", 550, "", "no"),
            (
                "#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##",
                550,
                "5.1.1",
                "RESOLVER.ADR.RecipNotFound; not found",
            ),
            ("Remote Server returned '550 5.1.10 not found'", 550, "5.1.10", "not found"),
            ("<mx.example #5.0.0 smtp; 550 mailbox unavailable>", 550, "", "mailbox unavailable>"),
            ("<mx.example #5.0.0 smtp;550 mailbox unavailable>", 550, "", "mailbox unavailable>"),
            ("the server responded 452 4.2.2 full", 452, "4.2.2", "full"),
            ("<<< 550 5.1.1 unknown", 550, "5.1.1", "unknown"),
        ] {
            assert_eq!(read(said), Some((code, enhanced.to_owned(), text.to_owned())), "{said}");
        }
    }

    #[test]
    fn other_numbers_are_no_reply() {
        for said in [
            "",
            "4.4.7 message expired after 300 tries",
            "delivery expired after 450 tries",
            "connection to mx.example:587 refused",
            "connect to mx.example port 465: timed out",
            "5500 users",
            "550x",
            "354 go on",
            "600",
            "\u{fc}50 no",
        ] {
            assert_eq!(read(said), None, "{said}");
        }
    }
}

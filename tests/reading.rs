//! Messages as others write them, read here and by Python's email package; and messages that nobody should write.

use crate::harness::judge;
use base64::{Engine, prelude::BASE64_STANDARD};
use mail::read::{MAX_TEXT, read};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::time::Duration;

/// A message, and what Python makes something else of, with the reason beside it.
struct Sample {
    what: &'static str,
    raw: Vec<u8>,
    differences: &'static [&'static str],
}

#[test]
fn python_reads_the_same_in_messages_from_the_wild() {
    let cases: Vec<Value> = samples().into_iter().map(case).collect();
    judge("check_reading.py", &json!(cases));
}

fn case(sample: Sample) -> Value {
    let found = read(&sample.raw);
    let mut message = serde_json::to_value(&found.message).expect("strings and lists");
    message["Date"] = json!(found.message.date.map(mail::Timestamp::as_secs));
    json!({
        "what": sample.what,
        "raw": BASE64_STANDARD.encode(&sample.raw),
        "read": {"Message": message, "Structure": found.structure},
        "differences": sample.differences,
    })
}

fn sample(what: &'static str, raw: impl AsRef<[u8]>, differences: &'static [&'static str]) -> Sample {
    Sample { what, raw: raw.as_ref().to_vec(), differences }
}

/// A text in a charset that Python knows under the same name.
fn in_charset(name: &'static str, octets: &[u8]) -> Sample {
    let mut raw = format!("Content-Type: text/plain; charset={name}\r\n\r\n").into_bytes();
    raw.extend_from_slice(octets);
    sample(name, raw, &[])
}

fn samples() -> Vec<Sample> {
    let charsets = [
        in_charset("utf-8", "Grüße ☺\r\n".as_bytes()),
        in_charset("UTF8", "Grüße ☺\r\n".as_bytes()),
        in_charset("us-ascii", b"plain\r\n"),
        in_charset("iso-8859-1", b"Gr\xfc\xdfe\r\n"),
        in_charset("ISO_8859-15", b"\xa4 5\r\n"),
        in_charset("iso-8859-2", b"\xb1\xe6\r\n"),
        in_charset("iso-8859-5", b"\xbf\xe0\xd8\xd2\xd5\xe2\r\n"),
        in_charset("iso-8859-7", b"\xc3\xe5\xe9\xdc\r\n"),
        in_charset("iso-8859-8-i", b"\xf9\xec\xe5\xed\r\n"),
        in_charset("iso-8859-9", b"\xfd\xfe\r\n"),
        in_charset("windows-1250", b"sla\x9a\xe8i\r\n"),
        in_charset("windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2\r\n"),
        in_charset("cp1251", b"\xcf\xf0\xe8\xe2\xe5\xf2\r\n"),
        in_charset("windows-1252", b"\x93quoted\x94 \x80\r\n"),
        in_charset("windows-1253", b"\xca\xf9\r\n"),
        in_charset("windows-1254", b"\xfd\r\n"),
        in_charset("windows-1255", b"\xf9\xec\r\n"),
        in_charset("windows-1256", b"\xe3\xd1\r\n"),
        in_charset("windows-1257", b"h\xf5ljuk\r\n"),
        in_charset("windows-1258", b"ch\xe0o\r\n"),
        in_charset("koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4\r\n"),
        in_charset("koi8-u", b"\xf0\xd2\xc9\xd7\xa6\xd4\r\n"),
        in_charset("gb2312", b"\xc4\xe3\xba\xc3\r\n"),
        in_charset("gbk", b"\xc4\xe3\xba\xc3\r\n"),
        in_charset("gb18030", b"\xc4\xe3\xba\xc3\x81\x30\x84\x36\r\n"),
        in_charset("big5", b"\xa7A\xa6n\r\n"),
        in_charset("shift_jis", b"\x83n\x83\x8d\x81[\r\n"),
        in_charset("iso-2022-jp", b"\x1b$B%O%m!<\x1b(B\r\n"),
        in_charset("euc-jp", b"\xa5\xcf\xa5\xed\r\n"),
        in_charset("euc-kr", b"\xbe\xc8\xb3\xe7\r\n"),
        in_charset("ks_c_5601-1987", b"\xbe\xc8\xb3\xe7\r\n"),
        in_charset("cp949", b"\xbe\xc8\xb3\xe7\r\n"),
        in_charset("cp932", b"\x83n\r\n"),
        in_charset("macintosh", b"\x87\x8e\r\n"),
        in_charset("utf-7", b"h+AOQ b+AOQ. 1 +- 1 +ZeVnLIqe-\r\n"),
        in_charset("utf-16", b"\xff\xfea\0\xe4\0\r\0\n\0"),
        in_charset("utf-16", b"\xfe\xff\0a\0\xe4"),
        in_charset("utf-16le", b"a\0\xe4\0"),
        in_charset("utf-16be", b"\0a\0\xe4"),
    ];
    let forms = vec![
        // Python gives replacement characters for what is not ASCII, or refuses.
        sample("8-bit without a charset", b"\r\nGr\xfc\xdfe\r\n", &["Text"]),
        sample("UTF-8 without a charset", "Subject: x\r\n\r\nGrüße\r\n", &["Text"]),
        sample(
            "UTF-8 that is called ASCII",
            "Content-Type: text/plain; charset=us-ascii\r\n\r\né\r\n",
            &["Text"],
        ),
        sample("no header", "\r\nhi\r\n", &[]),
        sample("LF lines", "From: a@b.example\nSubject: x\n y\n\nhi\nyou\n", &[]),
        sample("lone CR", "Subject: x\r\n\r\na\rb\r\n", &[]),
        sample("NUL and BOM", "Content-Type: text/plain; charset=utf-8\r\n\r\n\u{feff}a\0b\r\n", &[]),
        sample(
            "format=flowed",
            "Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nlong \r\nline\r\n-- \r\n",
            &[],
        ),
        sample(
            "quoted-printable",
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             <p>=C3=A4=\r\n</p> =20\r\na =3D b\t=\r\n!\r\n",
            &[],
        ),
        sample(
            "quoted-printable with a bare =",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n\
             1 =2 =C3=A4 == =\r\n",
            // Each reads broken quoting in a way of its own.
            &["DecodedSize", "Text"],
        ),
        sample(
            "base64",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: BASE64\r\n\r\nR3LDvM\r\nOfZQ==\r\n",
            &[],
        ),
        sample(
            "an encoding with a comment",
            "Content-Transfer-Encoding: base64 (yes)\r\n\r\naGk=\r\n",
            // Python takes the comment for a part of its name.
            &["DecodedSize", "Text"],
        ),
        sample(
            "base64 with junk",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3-L.Dv MOf\r\n!ZQ==\r\n",
            &[],
        ),
        sample(
            "encoded words",
            "Subject: =?utf-8?q?a_b?= =?UTF-8?B?w6Q=?=\r\n =?iso-8859-1?q?=E4?= and\r\n\tmore\r\n\
             From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\r\nTo: \"=?utf-8?q?=C3=A4?=\" <q@b.example>\r\n\r\n",
            &[],
        ),
        sample(
            "a character cut in two",
            "Subject: =?utf-8?q?=C3?= =?utf-8?q?=A4?=\r\nFrom: =?utf-8?b?w6TD?= =?utf-8?b?pA==?= <a@b.example>\r\n\r\n",
            // Python sees to it in text, and not in names.
            &["From"],
        ),
        sample(
            "raw octets in headers",
            b"Subject: gr\xfcn\r\nFrom: J\xfcrgen <j@b.example>\r\n\r\n",
            // Python has a replacement character.
            &["Subject"],
        ),
        sample("raw UTF-8 in headers", "Subject: grün\r\nFrom: Jürgen <jü@b.example>\r\n\r\n", &[]),
        sample(
            "addresses",
            "From: a@b.example\r\nTo: \"B, C\" <b@c.example>, c@c.example (a comment),\r\n\
             \t<d@c.example>, E F <e@c.example>\r\nCc: friends: f@c.example, G <g@c.example>;, h@c.example\r\n\
             Reply-To: undisclosed-recipients:;\r\n\r\n",
            // A comment stands for a name, as it did before there were names.
            &["To"],
        ),
        sample(
            "odd addresses",
            // An address that stands in the place of a name is one, which Python does not tell.
            "From: \"o dd\"@b.example\r\nTo: \"a\\\"b\" <x@[192.0.2.1]>\r\nCc: x@y.example <z@y.example>\r\n\r\n",
            &["CC"],
        ),
        sample(
            "no addresses",
            "From: nobody at all\r\nTo:\r\nCc: ,,\r\n\r\n",
            // A name, which is an address for Python.
            &["From"],
        ),
        sample(
            "ids and dates",
            "Message-ID: <1@b.example>\r\nReferences: <a@x>\r\n\t<b@x> <c@x>\r\nDate: 22 Nov 26 11:00 +0100 (CET)\r\n\r\n",
            &[],
        ),
        sample("a zone by name", "Date: Sun, 22 Nov 2026 11:00:00 EST\r\n\r\n", &[]),
        sample("no date", "Date: soon\r\n\r\n", &[]),
        sample(
            "a tree",
            "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\npreamble\r\n--a b\r\n\
             Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\ntext\r\n--a\r\n\
             Content-Type: text/html\r\n\r\n<p>\r\n--a--\r\n\r\n--a b  \r\n\
             Content-Type: image/png; name=x.png\r\nContent-Disposition: inline\r\nContent-ID: <i@x>\r\n\
             Content-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n--a b--\r\nepilogue\r\n",
            &[],
        ),
        sample(
            "a tree that is cut off",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nyes\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n",
            // Python takes off the last line end, which no boundary follows.
            &["DecodedSize/1", "HTML"],
        ),
        sample("a multipart without boundary", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nhi\r\n", &[]),
        sample("a multipart without parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\nhi\r\n", &[]),
        sample(
            "a digest",
            "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nhi\r\n--b--\r\n",
            // A message within a message is a file here.
            &["Text"],
        ),
        sample(
            "parameters",
            "Content-Type: text/plain; charset=\"utf-8\"; Format=flowed ; x=\"a;\\\"b\"\r\n\
             Content-Disposition: ATTACHMENT; size=3; filename=\"a;b.txt\"\r\n\r\nhi\r\n",
            &[],
        ),
        sample(
            "names in pieces",
            "Content-Type: a/b; name*0*=utf-8'en'%C3%A4; name*1=\"b c\"; name*2*=%C3%A4.txt\r\n\r\nx",
            &[],
        ),
        sample(
            "names in other charsets",
            "Content-Type: a/b\r\nContent-Disposition: attachment; filename*=iso-8859-1''%E4.txt\r\n\r\nx",
            &[],
        ),
        sample(
            "a character of a name cut in two",
            "Content-Type: a/b\r\nContent-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%A4.txt\r\n\r\nx",
            &[],
        ),
        sample(
            "names in encoded words",
            "Content-Type: a/b; name=\"=?utf-8?q?=C3=A4?=.txt\"\r\n\r\nx",
            // ContentTypeParams has what the header says.
            &["ContentTypeParams"],
        ),
        sample(
            "raw octets in names",
            b"Content-Type: a/b; name=\"\xe4.txt\"\r\n\r\nx",
            // Python has a replacement character.
            &["ContentTypeParams", "Filename"],
        ),
        sample(
            "no media type",
            "Content-Type: nonsense; x=y\r\n\r\nhi\r\n",
            // Parameters of nothing are nothing.
            &["ContentTypeParams"],
        ),
        sample("an empty media type", "Content-Type:\r\n\r\nhi\r\n", &[]),
        sample(
            "attached text is no text",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n--b\r\n\r\nyes\r\n--b--\r\n",
            &[],
        ),
    ];
    charsets.into_iter().chain(forms).collect()
}

/// Of the processor's time. Far more than any of these takes, as tests are not optimised.
const QUICK: Duration = Duration::from_secs(8);

/// What this thread had of it so far, however busy the machine is.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it is no time before the thread")
}

#[test]
fn no_message_takes_long_to_read() {
    let headers = |name: &str, value: String| format!("{name}: {value}\r\n\r\nhi\r\n").into_bytes();
    let many = |text: &str, size: usize| text.repeat(size / text.len());
    const FIELD: usize = 300 << 10;
    let words = |text: &str| headers("Subject", many(text, 10 << 20));
    let to = |text: &str| headers("To", many(text, FIELD));
    let kind = |value: String, body: String| format!("Content-Type: {value}\r\n\r\n{body}").into_bytes();
    let encoded = |encoding: &str, kind: &str, body: String| {
        format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}").into_bytes()
    };
    let nested: String =
        (0..40).map(|i| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n")).collect();
    let long = "x".repeat(3_000);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a million header lines", many("X: y\r\n", 6 << 20).into_bytes()),
        ("one endless header", headers("Subject", many("x\r\n ", 10 << 20))),
        ("encoded words without end", words("=?utf-8?q?")),
        ("encoded words that might go on", words(" =?ab?q?z")),
        ("encoded words in pieces", words("=?utf-8?q?=C3?= ")),
        ("encoded words of many charsets", words("=?utf-8?q?a?= =?koi8-r?q?a?= ")),
        ("encoded words without a charset", words("=?")),
        ("addresses", to("a@b.example, ")),
        ("commas", to(",")),
        ("groups", to("a:")),
        ("groups of addresses", to("a@b:")),
        ("groups and more groups", to("g: a@b;, ")),
        ("comments", to("(")),
        ("comments and names", to("a (b) ")),
        ("angle brackets", to("<")),
        ("quotes", to("\"a\\")),
        ("backslashes", to("\\")),
        ("words in addresses", to(" =?ab?q?z")),
        ("words in addresses, whole", to("=?utf-8?q?=C3?= ")),
        ("ids", headers("References", many("<a@b> ", FIELD))),
        ("ids without end", headers("References", many("<", FIELD))),
        ("dates", headers("Date", many("(", FIELD))),
        ("parameters", kind(format!("a/b{}", many(";a=b", 10 << 20)), String::new())),
        ("pieces of parameters", kind(format!("a/b{}", many(";a*1=b", 10 << 20)), String::new())),
        ("parts", kind("multipart/mixed; boundary=b".into(), many("--b\r\n\r\n", 8 << 20))),
        (
            "lines that are almost a boundary",
            kind("multipart/mixed; boundary=b".into(), many("--bb\r\n", 8 << 20)),
        ),
        ("no lines but boundaries", kind("multipart/mixed; boundary=b".into(), many("--b", 8 << 20))),
        (
            "a long boundary that almost comes",
            kind(
                format!("multipart/mixed; boundary={long}"),
                many(&format!("--{}\r\n", &long[1..]), 8 << 20),
            ),
        ),
        ("a long body below many multiparts", (nested + &many("--b\r\n", 8 << 20)).into_bytes()),
        ("soft line breaks", encoded("quoted-printable", "text/plain", many("=\r\n", 10 << 20))),
        ("broken quoting", encoded("quoted-printable", "text/plain", many("= ", 10 << 20))),
        ("base64 without base64", encoded("base64", "text/plain", many("!", 10 << 20))),
        ("padding", encoded("base64", "text/plain", many("=", 10 << 20))),
        ("escapes", encoded("8bit", "text/plain; charset=iso-2022-jp", many("\x1b$B\x1b(B", 10 << 20))),
        ("shifts", encoded("8bit", "text/plain; charset=utf-7", many("+-", 10 << 20))),
        ("shifts to nothing", encoded("8bit", "text/plain; charset=utf-7", many("+A-", 10 << 20))),
        ("a long text", encoded("8bit", "text/html; charset=koi8-r", many("long ", 40 << 20))),
    ];
    for (what, raw) in cases {
        let start = processor_time();
        let found = read(&raw);
        let took = processor_time() - start;
        println!("{what}: {took:?}");
        assert!(took < QUICK, "{what} takes {took:?}");
        assert!(found.message.text.len().max(found.message.html.len()) <= MAX_TEXT, "{what}");
        let size = serde_json::to_vec(&(&found.message, &found.structure)).unwrap().len();
        assert!(size < 8 << 20, "{what} is shown in {size} octets");
    }
}

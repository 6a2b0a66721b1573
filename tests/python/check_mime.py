"""Says whether a message, as an SMTP server received it, is what the sender meant: read by Python's email package.

One case from standard input; with --lines one in each line, answered by a line of its own.
"""

import base64
import email
import email.header
import email.policy
import json
import sys

ADDRESS_FIELDS = {"from", "to", "cc", "reply-to"}


def main():
    if sys.argv[1:] != ["--lines"]:
        check(json.load(sys.stdin))
        print("ok")
        return
    for line in sys.stdin:
        try:
            check(json.loads(line))
            print("ok", flush=True)
        except SystemExit as fault:
            print(json.dumps(str(fault)), flush=True)


def check(case):
    raw = base64.b64decode(case["content"])
    expected = case["expected"]
    check_lines(raw, expected.get("smtputf8", False))
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for name, value in expected["headers"].items():
        check_header(message, name, value, expected.get("smtputf8", False))
    for name in expected.get("absent", []):
        same(message.get_all(name), None, f"header {name}")
    for name in ["from", "date", "message-id", "mime-version"]:
        same(len(message.get_all(name, [])), 1, f"number of headers {name}")
    check_part(message, expected["body"], "body")


def check_lines(raw, smtputf8):
    if not raw.endswith(b"\r\n"):
        fail("the message does not end with a line end")
    for number, line in enumerate(raw[:-2].split(b"\r\n"), 1):
        if len(line) > 998:
            fail(f"line {number} has {len(line)} octets")
        for octet in (b"\r", b"\n", b"\0"):
            if octet in line:
                fail(f"line {number} has a bare {octet!r}: {line!r}")
    header = raw.split(b"\r\n\r\n")[0]
    if not smtputf8 and not header.isascii():
        fail("the header is not ASCII although SMTPUTF8 is not needed")


def check_header(message, name, expected, smtputf8):
    values = message.get_all(name, [])
    same(len(values), 1, f"number of headers {name}")
    value = values[0]
    defects = [str(defect) for defect in value.defects]
    if smtputf8:
        # RFC 6532 allows what RFC 5322 does not.
        defects = [defect for defect in defects if "non-ascii" not in defect.lower()]
    same(defects, [], f"defects of {name} ({value!r})")
    if name.lower() in ADDRESS_FIELDS:
        found = [
            [unescaped(address.display_name), unescaped(f"{address.username}@{address.domain}")]
            for address in value.addresses
        ]
        if len(found) == 1 and (words := encoded_name(message, name)) is not None:
            found[0][0] = words
        same(found, expected, name)
    else:
        same(" ".join(str(value).split()), " ".join(expected.split()), name)


def encoded_name(message, field):
    """The name in an address header that begins with encoded words, which the new API of the package (before Python
    3.13) reads with spaces between them, against RFC 2047, 6.2."""
    raw = next(value for name, value in message.raw_items() if name.lower() == field.lower())
    if not raw.startswith("=?"):
        return None
    words = email.header.decode_header(raw)[:-1]
    return "".join(text.decode(charset or "ascii") for text, charset in words)


def unescaped(text):
    """UTF-8 in a header, which the package hands out as escaped octets."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8")


def check_part(part, expected, where):
    same([str(defect) for defect in part.defects], [], f"defects of {where}")
    same(part.get_content_type(), expected["type"], f"type of {where}")
    where = f"{where} {expected['type']}"
    if "parts" in expected:
        parts = list(part.iter_parts())
        same([inner.get_content_type() for inner in parts], [inner["type"] for inner in expected["parts"]], where)
        for number, inner in enumerate(zip(parts, expected["parts"])):
            check_part(*inner, f"{where}[{number}]")
        return
    if "text" in expected:
        same(part.get_content_disposition(), None, f"disposition of {where}")
        text = part.get_content().replace("\r\n", "\n")
        wanted = expected["text"].replace("\r\n", "\n")
        if text not in (wanted, wanted + "\n"):
            same(text, wanted, f"text of {where}")
        return
    same(part.get_content_disposition(), expected["disposition"], f"disposition of {where}")
    same(file_name(part), expected.get("filename"), f"file name of {where}")
    same(part.get("content-id"), expected.get("content_id"), f"content id of {where}")
    for name, value in expected.get("params", {}).items():
        same(part.get_param(name), value, f"parameter {name} of {where}")
    same(part.get_payload(decode=True), base64.b64decode(expected["data"]), f"data of {where}")


def file_name(part):
    """As get_filename, but with white space at its ends."""
    names = [("content-disposition", "filename"), ("content-type", "name")]
    return next((part[header].params[name] for header, name in names if name in part[header].params), None)


def same(found, expected, what):
    if found != expected:
        fail(f"{what}\n  is        {found!r:.2000}\n  should be {expected!r:.2000}")


def fail(text):
    sys.exit(text)


main()

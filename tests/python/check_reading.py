"""Reads messages with Python's email package, and says where Postrider read something else."""

import base64
import codecs
import email
import email.policy
import json
import sys


# Names of charsets that Python does not know.
ALIASES = {"iso_8859_8_i": "iso8859-8", "win_1251": "cp1251"}


def main():
    codecs.register(lambda name: codecs.lookup(ALIASES[name.replace("-", "_")]) if name.replace("-", "_") in ALIASES else None)
    faults = []
    for case in json.load(sys.stdin):
        message = email.message_from_bytes(base64.b64decode(case["raw"]), policy=email.policy.default)
        for fault in judge(message, case["read"], set(case["differences"])):
            faults.append(f"{case['what']}: {fault}")
    if faults:
        sys.exit("\n".join(faults))
    print("ok")


def judge(message, read, differences):
    """What differs though it should not, and what is said to differ and does not."""
    found = {}
    header(message, read["Message"], found)
    texts(message, read["Message"], found)
    structure(message, read["Structure"], found, "")
    for what in found.keys() - differences:
        wanted, have = found[what]
        yield f"{what} is {have!r:.500}, and {wanted!r:.500} for Python"
    for what in differences - found.keys():
        yield f"{what} is no difference any more"


def same(found, what, python, postrider):
    if python != postrider:
        found[what] = (python, postrider)


def header(message, read, found):
    same(found, "Subject", clean(message["subject"]), clean(read["Subject"]))
    same(found, "MessageID", clean(message["message-id"]), read["MessageID"])
    same(found, "References", clean(message["references"]).split(), read["References"])
    for ours, theirs in [("From", "from"), ("To", "to"), ("CC", "cc"), ("ReplyTo", "reply-to")]:
        values = message.get_all(theirs, [])
        python = [[clean(one.display_name), unescaped(one.addr_spec)] for one in values[0].addresses] if values else []
        same(found, ours, python, [[clean(one["Name"]), one["Address"]] for one in read[ours]])
    date = message["date"]
    python = date.datetime.timestamp() if date is not None and date.datetime else None
    same(found, "Date", python, read["Date"])


def texts(message, read, found):
    for ours, kind in [("Text", "text/plain"), ("HTML", "text/html")]:
        parts = (part for part in message.walk() if part.get_content_type() == kind and not attached(part))
        part = next(parts, None)
        python = ""
        if part is not None:
            python = part.get_content().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        same(found, ours, python, read[ours])


def attached(part):
    return part.get_content_disposition() == "attachment"


def structure(part, read, found, path):
    same(found, f"ContentType{path}", part.get_content_type(), read["ContentType"])
    header = part.get("content-type")
    params = {name.lower(): unescaped(value) for name, value in header.params.items()} if header else {}
    same(found, f"ContentTypeParams{path}", params, read["ContentTypeParams"])
    same(found, f"ContentDisposition{path}", part.get_content_disposition() or "", read["ContentDisposition"])
    same(found, f"Filename{path}", unescaped(part.get_filename() or ""), read["Filename"])
    same(found, f"ContentID{path}", clean(part.get("content-id")), read["ContentID"])
    if part.get_content_maintype() == "multipart":
        inner = part.get_payload() if part.is_multipart() else []
        same(found, f"Parts{path}", len(inner), len(read["Parts"]))
        for number, both in enumerate(zip(inner, read["Parts"])):
            structure(*both, found, f"{path}/{number}")
    elif part.get_content_maintype() != "message":
        same(found, f"DecodedSize{path}", len(part.get_payload(decode=True)), read["DecodedSize"])


def clean(text):
    return " ".join(unescaped(str(text or "")).split())


def unescaped(text):
    """Octets that are no ASCII, which the package hands out as surrogates: UTF-8 or else windows-1252."""
    octets = text.encode("utf-8", "surrogateescape")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("windows-1252", "replace")


main()

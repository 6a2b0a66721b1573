"""Says whether the DKIM signature of a message is good under a published key: verified by dkimpy."""

import base64
import json
import sys

import dkim


def main():
    case = json.load(sys.stdin)
    raw = base64.b64decode(case["content"])
    asked = []

    def lookup(name, timeout=5):
        name = name.decode().rstrip(".") if isinstance(name, bytes) else name.rstrip(".")
        asked.append(name)
        return case["record"].encode() if name == case["name"] else None

    if not dkim.verify(raw, dnsfunc=lookup, minkey=0):
        sys.exit(f"the signature is not good; keys asked for: {asked}")
    if asked != [case["name"]]:
        sys.exit(f"the key was asked for as {asked}, not {case['name']}")
    fields = signed_fields(raw)
    for name in case["signed"]:
        if name.lower() not in fields:
            sys.exit(f"{name} is not signed, only {fields}")
    # A signature that bears with a changed message is none.
    for changed in (raw.replace(b"\r\nSubject:", b"\r\nSubject: x", 1), raw + b"x\r\n"):
        if changed == raw or dkim.verify(changed, dnsfunc=lookup, minkey=0):
            sys.exit("the signature is still good when the message is changed")
    print("ok")


def signed_fields(raw):
    header = raw.split(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").decode()
    for line in header.split("\r\n"):
        if line.lower().startswith("dkim-signature:"):
            tags = dict(tag.strip().split("=", 1) for tag in line.split(":", 1)[1].split(";") if tag.strip())
            return [field.strip().lower() for field in tags["h"].split(":")]
    sys.exit("there is no DKIM-Signature")


main()

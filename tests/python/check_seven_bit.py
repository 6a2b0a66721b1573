"""Says whether two messages say the same, of which the second has no octets above 127: read with Python's email package."""

import base64
import email
import email.policy
import json
import sys


def main():
    case = json.load(sys.stdin)
    raw = [base64.b64decode(case[which]) for which in ("before", "after")]
    if max(raw[1]) > 127:
        sys.exit("the second message has octets above 127")
    before, after = (email.message_from_bytes(one, policy=email.policy.default) for one in raw)
    if not case["parts"] == sum(1 for _ in before.walk()) == sum(1 for _ in after.walk()):
        sys.exit(f"parts: {list(map(str, before.walk()))} and {list(map(str, after.walk()))}")
    for old, new in zip(before.walk(), after.walk()):
        compare(old, new)
    print("ok")


def compare(old, new):
    kind = old.get_content_type()
    if new.defects:
        sys.exit(f"{kind} has defects: {new.defects}")
    for what in ("get_content_type", "get_filename", "get_content_disposition", "get_boundary"):
        was, has = (getattr(one, what)() for one in (old, new))
        if was != has:
            sys.exit(f"{what} of {kind} was {was!r} and is {has!r}")
    encoding = str(new.get("content-transfer-encoding", "7bit")).lower()
    if encoding in ("8bit", "binary"):
        sys.exit(f"{kind} still says that it is {encoding}")
    if kind.startswith(("multipart/", "message/rfc822")):
        if encoding != "7bit":
            sys.exit(f"{kind} must not be encoded as {encoding}")
        return
    was, has = (one.get_payload(decode=True) for one in (old, new))
    if was != has:
        sys.exit(f"{kind} was {was!r:.300} and is {has!r:.300}")
    if kind.startswith("text/") and old.get_content() != new.get_content():
        sys.exit(f"{kind} was {old.get_content()!r:.300} and is {new.get_content()!r:.300}")


main()

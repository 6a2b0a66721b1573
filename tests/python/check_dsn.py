"""Says whether a message is a report after RFC 3464 that tells what it should: read with Python's email package."""

import base64
import email
import email.policy
import email.utils
import json
import sys


def main():
    case = json.load(sys.stdin)
    raw = base64.b64decode(case["content"])
    report = email.message_from_bytes(raw, policy=email.policy.default)
    for part in report.walk():
        if part.defects:
            sys.exit(f"{part.get_content_type()} has defects: {part.defects}")
    same("type", report.get_content_type(), "multipart/report")
    same("report-type", report.get_param("report-type"), "delivery-status")
    same("Auto-Submitted", report["auto-submitted"], "auto-replied")
    same("To", report["to"].addresses[0].addr_spec, case["to"])
    if abs(email.utils.parsedate_to_datetime(report["date"]).timestamp() - case["now"]) > case["slack"]:
        sys.exit(f"the date is {report['date']}")

    text, status, *returned = report.get_payload()
    same("first part", text.get_content_type(), "text/plain")
    for said in case["says"]:
        if said not in text.get_content():
            sys.exit(f"{said!r} is not in the text:\n{text.get_content()}")

    same("second part", status.get_content_type(), "message/delivery-status")
    message, *recipients = status.get_payload()
    same("recipients", len(recipients), 1)
    fields(message, case["message"])
    fields(recipients[0], case["recipient"])

    same("returned parts", len(returned), 1)
    same("third part", returned[0].get_content_type(), case["returned"])
    if case["header"] not in returned[0].as_string():
        sys.exit(f"{case['header']!r} is not in what is returned:\n{returned[0].as_string()}")
    print("ok")


def fields(block, wanted):
    for name, value in wanted.items():
        have = block[name]
        if value is None:
            same(name, have, None)
        elif isinstance(value, (int, float)):
            if have is None or abs(email.utils.parsedate_to_datetime(have).timestamp() - value) > 2:
                sys.exit(f"{name} is {have}, not about {email.utils.formatdate(value)}")
        else:
            same(name, None if have is None else str(have), value)


def same(what, have, want):
    if have != want:
        sys.exit(f"{what} is {have!r}, not {want!r}")


main()

"""Tells Schemathesis what it does not find out by itself about calls of the webapi."""

import json
from urllib.parse import urlencode

import schemathesis


@schemathesis.serializer("application/x-www-form-urlencoded")
def form(context, value):
    """Objects are JSON, as the document has it; `value` has them taken apart."""
    body = context.case.body
    if not isinstance(body, dict):
        return body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {name: field if isinstance(field, str) else json.dumps(field) for name, field in body.items()}
    return urlencode(fields, errors="replace").encode()


def wait_no_longer(query):
    """Nobody causes the events that it would be for; what is refused stays."""
    wait = str((query or {}).get("wait", ""))
    if wait.isdigit() and int(wait) <= 60:
        query["wait"] = 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """Aims at what is there: messages, their parts and mailboxes; and gives most messages a body and a recipient."""
    if case.operation.path.endswith("/events"):
        wait_no_longer(case.query)
        return
    request = case.body.get("request") if isinstance(case.body, dict) else None
    if not isinstance(request, dict):
        return
    method = case.operation.path.removeprefix("/webapi/v0/")
    if type(request.get("MsgID")) is int and request["MsgID"] % 4:
        # The first messages stay for the other methods.
        request["MsgID"] = (9 if method == "MessageDelete" else 1) + request["MsgID"] % 8
        if method == "MessagePartGet" and isinstance(request.get("PartPath"), list):
            request["PartPath"] = request["PartPath"][:1] and [0]
        if method.startswith("MessageFlags") and isinstance(request.get("Flags"), list):
            request["Flags"] = ["\\seen", "todo"][: len(request["Flags"])]
        if method == "MessageMove" and isinstance(request.get("DestMailboxName"), str):
            request["DestMailboxName"] = ["Inbox", "Archive", "Trash"][len(request["DestMailboxName"]) % 3]
    if method == "Send" and len(request) % 4:
        if request.get("HTML", "") == "":
            request["HTML"] = "<p>text</p>"
        if request.get("To", []) == []:
            request["To"] = [{"Address": "friend@remote.example"}]

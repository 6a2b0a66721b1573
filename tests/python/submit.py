"""Submits a message as told on standard input, with smtplib; ends with "ok" when the server took it."""

import json
import smtplib
import ssl
import sys

import scramp
from email.message import EmailMessage

told = json.load(sys.stdin)
# The certificate is made for a test.
tls = ssl.create_default_context()
tls.check_hostname = False
tls.verify_mode = ssl.CERT_NONE

message = EmailMessage()
message["From"] = told["from"]
message["To"] = ", ".join(told["to"])
message["Message-ID"] = told["message_id"]
message["Subject"] = "Grüße"
message.set_content("hi ☺\n.\n..\n")
message.add_attachment(b"\x00\xff\n", maintype="application", subtype="octet-stream", filename="ä.txt")

def scram(mechanism):
    """What smtplib asks for an answer to a challenge."""
    binding = None
    if mechanism.endswith("-PLUS"):
        binding = ("tls-server-end-point", client.sock)
    exchange = scramp.ScramClient([mechanism], told["user"], told["password"], channel_binding=binding)
    stages = iter([
        lambda _: exchange.get_client_first(),
        lambda said: exchange.set_server_first(said) or exchange.get_client_final(),
        # The server proves that it knows the password as well.
        lambda said: exchange.set_server_final(said) or "",
    ])
    return lambda challenge=None: next(stages)(challenge and challenge.decode())


if told["implicit_tls"]:
    client = smtplib.SMTP_SSL(told["host"], told["port"], timeout=20, context=tls)
else:
    client = smtplib.SMTP(told["host"], told["port"], timeout=20)
with client:
    if not told["implicit_tls"]:
        client.starttls(context=tls)
    client.ehlo()
    if told["mechanism"] == "LOGIN":
        client.user, client.password = told["user"], told["password"]
        client.auth("LOGIN", client.auth_login)
    elif told["mechanism"].startswith("SCRAM"):
        client.auth(told["mechanism"], scram(told["mechanism"]))
    else:
        client.login(told["user"], told["password"])
    refused = client.send_message(message)
    if refused:
        sys.exit(f"refused: {refused}")
print("ok")

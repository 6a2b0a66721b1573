"""Submits a message with smtplib for each way to log in: what is told on standard input, as JSON."""

import json
import smtplib
import ssl
import sys

told = json.load(sys.stdin)
context = ssl.create_default_context(cafile=told["trust"])


def connect(way):
    if way == "submissions":
        return smtplib.SMTP_SSL("127.0.0.1", told["submissions"], "client.example", context=context)
    client = smtplib.SMTP("127.0.0.1", told["submission"], "client.example")
    if way == "starttls":
        client.starttls(context=context)
    return client


# What smtplib checks the certificate against.
context.check_hostname = False

for way in told["ways"]:
    for mechanism in ["PLAIN", "LOGIN"]:
        client = connect(way)
        client.user, client.password = told["user"], told["password"]
        client.ehlo()
        if mechanism not in client.esmtp_features["auth"].split():
            sys.exit(f"{mechanism} is not offered: {client.esmtp_features}")
        for initial in [True, False]:
            method = getattr(client, "auth_" + mechanism.lower())
            code, said = client.auth(mechanism, method, initial_response_ok=initial)
            if code != 235:
                sys.exit(f"{way} {mechanism}: {code} {said}")
            subject = f"{way} {mechanism} {initial}"
            text = f"From: {told['user']}\r\nTo: {told['to']}\r\nSubject: {subject}\r\n\r\nhi\r\n"
            refused = client.sendmail(told["user"], [told["to"]], text)
            if refused:
                sys.exit(f"{subject}: {refused}")
            client.quit()
            client = connect(way)
            client.user, client.password = told["user"], told["password"]
            client.ehlo()
        client.quit()

client = connect(told["ways"][0])
try:
    client.login(told["user"], "wrong")
    sys.exit("a wrong password logs in")
except smtplib.SMTPAuthenticationError as error:
    # smtplib tries each mechanism that it knows.
    if error.smtp_code != 535:
        sys.exit(f"a wrong password is answered with {error}")
print("ok")

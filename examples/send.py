"""Sends a message with an attachment: python3 send.py [URL [USER PASSWORD]]"""

import base64, json, sys, urllib.error, urllib.parse, urllib.request

defaults = ["http://127.0.0.1:1080/webapi/v0/", "rider@localhost", "postrider"]
url, user, password = sys.argv[1:] + defaults[len(sys.argv) - 1 :]
message = {
    "To": [{"Name": "A friend", "Address": "friend@remote.example"}],
    "Subject": "Your report",
    "Text": "The report is attached ☺\n",
    "AttachedFiles": [{"Name": "report.csv", "Data": base64.b64encode(b"month,sent\n2026-11,1234\n").decode()}],
}
form = urllib.parse.urlencode({"request": json.dumps(message)}).encode()
login = base64.b64encode(f"{user}:{password}".encode()).decode()
try:
    call = urllib.request.Request(url + "Send", form, {"Authorization": "Basic " + login})
    print(json.load(urllib.request.urlopen(call)))
except urllib.error.HTTPError as error:
    sys.exit(f"{error}: {error.read().decode()}")

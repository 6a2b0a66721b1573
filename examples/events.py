"""Prints what happens to an account's messages, each event once: python3 events.py STATE [URL [USER PASSWORD]]"""

import base64, http.client, json, os, sys, time, urllib.error, urllib.request

defaults = ["http://127.0.0.1:1080/api/v1/events", "rider@localhost", "postrider"]
url, user, password = sys.argv[2:] + defaults[len(sys.argv) - 2 :]
state = sys.argv[1]
login = base64.b64encode(f"{user}:{password}".encode()).decode()
after = int(open(state).read()) if os.path.exists(state) else 0
while True:
    call = urllib.request.Request(f"{url}?after={after}&wait=30s", headers={"Authorization": "Basic " + login})
    try:
        answer = json.load(urllib.request.urlopen(call, timeout=60))
    except urllib.error.HTTPError as error:
        if error.code != 503:
            sys.exit(f"{error}: {error.read().decode()}")
        time.sleep(1)
        continue
    except (OSError, http.client.HTTPException):  # The server is away; it keeps what we have not seen.
        time.sleep(1)
        continue
    for event in answer["Events"]:
        print(event["Seq"], event["Event"], event["Recipient"], event["Error"], flush=True)
    after = answer["Last"]
    # Only now is it done with: whoever stores results of its own does both in one transaction.
    with open(state + ".new", "w") as file:
        file.write(str(after))
    os.replace(state + ".new", state)

"""Says whether a webhook call is signed as the Standard Webhooks specification wants: verified by its package."""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def main():
    case = json.load(sys.stdin)
    body = base64.b64decode(case["body"])
    webhook = Webhook(case["secret"])
    webhook.verify(body, case["headers"])
    try:
        webhook.verify(body + b" ", case["headers"])
    except WebhookVerificationError:
        print("ok")
    else:
        sys.exit("the signature is still good when the body is changed")


main()

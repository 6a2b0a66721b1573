// Says whether a webhook call is signed as the Standard Webhooks specification wants: verified by its package.
"use strict";

const { readFileSync } = require("node:fs");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const sent = Buffer.from(body, "base64");
const webhook = new Webhook(secret);
webhook.verify(sent, headers);

try {
  webhook.verify(Buffer.concat([sent, Buffer.from(" ")]), headers);
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log("ok");
  process.exit(0);
}
console.error("the signature is still good when the body is changed");
process.exit(1);

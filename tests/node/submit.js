// Submits a message as told on standard input, with nodemailer; ends with "ok" when the server took it.
const fs = require("node:fs");
const nodemailer = require("nodemailer");

const told = JSON.parse(fs.readFileSync(0, "utf8"));
const transport = nodemailer.createTransport({
  host: told.host,
  port: told.port,
  secure: told.implicit_tls,
  requireTLS: !told.implicit_tls,
  // The certificate is made for a test.
  tls: { rejectUnauthorized: false },
  auth: { user: told.user, pass: told.password, method: told.mechanism },
  connectionTimeout: 20000,
});
transport
  .sendMail({
    from: told.from,
    to: told.to,
    messageId: told.message_id,
    subject: "Grüße",
    text: "hi ☺\n.\n..\n",
    attachments: [{ filename: "ä.txt", content: Buffer.from([0, 255, 10]) }],
  })
  .then((info) => {
    console.log(info.response);
    if (info.accepted.length !== told.to.length) throw new Error(`accepted ${info.accepted}`);
    console.log("ok");
  })
  .catch((error) => {
    console.log(error);
    process.exit(1);
  });

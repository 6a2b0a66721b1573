// Sends a message with an attachment: node send.mjs [URL [USER PASSWORD]]

const [, , url = "http://127.0.0.1:1080/webapi/v0/", user = "rider@localhost", password = "postrider"] = process.argv;
const form = new FormData();
form.append("request", JSON.stringify({
  To: [{ Name: "A friend", Address: "friend@remote.example" }],
  Subject: "Your report",
  Text: "The report is attached ☺\n",
}));
form.append("attachedfile", new File(["month,sent\n2026-11,1234\n"], "report.csv", { type: "text/csv" }));
const login = Buffer.from(`${user}:${password}`).toString("base64");
const answer = await fetch(url + "Send", { method: "POST", body: form, headers: { Authorization: `Basic ${login}` } });
if (!answer.ok) {
  console.error(`${answer.status}: ${await answer.text()}`);
  process.exit(1);
}
console.log(await answer.json());

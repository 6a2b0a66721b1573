// Makes the call of a method's page, and shows the answer. Nothing is kept: the login is in its fields only.
"use strict";

const SHOWN_MAX = 512 * 1024;

const form = document.querySelector("form");
const [user, password, request, answer, status, body, curl] =
  ["user", "password", "request", "answer", "status", "body", "curl"].map((id) => document.getElementById(id));

for (const id of ["login", "hint"]) document.getElementById(id).hidden = false;
form.addEventListener("input", showCurl);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  call();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
showCurl();

async function call() {
  const button = form.querySelector("button");
  button.disabled = true;
  const started = performance.now();
  try {
    // Without credentials of its own, the browser does not ask for a login when this one is wrong.
    const response = await fetch(form.action, {
      method: "POST", body: formData(), headers: login(), credentials: "omit", redirect: "error",
    });
    const bytes = await response.arrayBuffer();
    const time = Math.round(performance.now() - started);
    status.textContent = `${response.status} ${response.statusText} · ${time} ms · ${size(bytes.byteLength)}`;
    status.className = response.ok ? "ok" : "failed";
    urls.forEach(URL.revokeObjectURL);
    urls = [];
    body.replaceChildren(...shown(bytes, response.headers.get("Content-Type") || ""));
  } catch (error) {
    status.textContent = `No answer: ${error.message}`;
    status.className = "failed";
    body.replaceChildren();
  } finally {
    button.disabled = false;
  }
  answer.hidden = false;
  answer.scrollIntoView({ block: "nearest" });
}

function formData() {
  const data = new FormData();
  data.append("request", request.value);
  for (const [field, file] of files()) data.append(field, file);
  return data;
}

function files() {
  const inputs = [...form.querySelectorAll("input[type=file]")];
  return inputs.flatMap((input) => [...input.files].map((file) => [input.name, file]));
}

function login() {
  if (!user.value && !password.value) return {};
  const bytes = new TextEncoder().encode(`${user.value}:${password.value}`);
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

// What an answer looks like. Nothing that came by mail becomes part of this page.
function shown(bytes, contentType) {
  const type = contentType.split(";")[0].trim().toLowerCase();
  if (type === "application/json") return [preformatted(pretty(decoded(bytes, "")))];
  const download = element("a", { href: url(bytes, "application/octet-stream"), download: fileName(type) });
  download.textContent = `Save ${type || "it"}`;
  return [...preview(bytes, type, contentType), paragraph(download)];
}

function preview(bytes, type, contentType) {
  if (type === "text/html") {
    const text = decoded(bytes, contentType);
    const source = element("details");
    source.append(element("summary", { textContent: "Source" }), preformatted(text));
    // No script, no form, no link to the outside, and an origin of its own.
    return [element("iframe", { sandbox: "", srcdoc: text, title: "The HTML part" }), source];
  }
  if (type.startsWith("text/") || type.startsWith("message/")) return [preformatted(decoded(bytes, contentType))];
  if (type.startsWith("image/")) return [element("img", { src: url(bytes, type), alt: "The image" })];
  return [];
}

function preformatted(text) {
  const pre = element("pre", { textContent: text.slice(0, SHOWN_MAX), tabIndex: 0 });
  if (text.length > SHOWN_MAX) pre.append("\n… and more");
  return pre;
}

// Indented, unless that would change it: numbers may have more digits than a browser counts.
function pretty(text) {
  try {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

function decoded(bytes, contentType) {
  const charset = /charset="?([^";]+)/i.exec(contentType)?.[1] || "utf-8";
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

let urls = [];

function url(bytes, type) {
  urls.push(URL.createObjectURL(new Blob([bytes], { type })));
  return urls.at(-1);
}

function fileName(type) {
  const known = { "text/plain": "txt", "text/html": "html", "text/calendar": "ics", "message/rfc822": "eml" };
  const extension = known[type] || type.split("/")[1]?.replace(/[^a-z0-9]/g, "") || "bin";
  return `answer.${extension}`;
}

function paragraph(...content) {
  const made = element("p");
  made.append(...content);
  return made;
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function size(count) {
  return count < 1024 ? `${count} bytes` : `${(count / 1024).toFixed(1)} KiB`;
}

// curl asks for the password, which has no place in the history of a shell.
function showCurl() {
  const chosen = files();
  const field = chosen.length ? "--form-string" : "--data-urlencode";
  const lines = [
    `curl --user ${quoted(user.value || "you@example.org")}`,
    `${field} ${quoted(`request=${request.value}`)}`,
    ...chosen.map(([field, file]) => `--form ${quoted(`${field}=@"${file.name.replace(/["\\]/g, "\\$&")}"`)}`),
    form.action,
  ];
  curl.textContent = lines.join(" \\\n  ");
}

function quoted(text) {
  return /^[\w@.+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

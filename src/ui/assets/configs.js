// The editor of canary configs: checks as one types, and the members that the query at the cursor can have.
import { editorOf, isYaml } from "./editor.js";
import { formOf } from "./form.js";

const PAUSE = 300;
const TOLD = {
  error: "It cannot be stored like this.",
  warning: "It can be stored, but no canary can be judged with it yet.",
  note: "It can be judged with; see what is doubtful.",
  fine: "Nothing is wrong with it.",
  unknown: "It cannot be checked now; serin does not answer.",
};

const area = document.getElementById("config");
const { form } = area;
const verdict = document.getElementById("verdict");
const list = document.getElementById("findings");
const kinds = [...document.querySelectorAll(".kind")];

const turn = document.getElementById("turn");
// What is only proposed is not stored yet.
const stored = document.getElementById("changes") ? null : area.value;
let isSending = false;
let asked = null;
let timer = 0;
let chosen = null;

let findings = [...list.children].map((item) => ({
  severity: item.dataset.severity,
  path: item.querySelector("code")?.textContent ?? "",
  line: Number(/line (\d+)/.exec(item.textContent)?.[1]) || null,
  column: Number(/column (\d+)/.exec(item.textContent)?.[1]) || null,
  message: item.querySelector(".message").textContent,
}));

const editor = editorOf(area, {
  onChange() {
    showForm();
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE, "");
  },
  onSelect: choose,
});
document.getElementById("keys").hidden = false;

form.addEventListener("submit", (event) => { isSending = !event.submitter?.formTarget; });
addEventListener("pageshow", () => { isSending = false; });
addEventListener("beforeunload", (event) => {
  if (!isSending && area.value !== stored) event.preventDefault();
});
for (const kind of kinds) {
  for (const code of kind.querySelectorAll("[data-blank]")) offer(kind.dataset.kind, code);
}
const formPlace = document.getElementById("form");
formPlace.hidden = false;
const showForm = formOf(formPlace, editor);
turn.addEventListener("click", turned);
const undo = document.getElementById("undo");
undo.hidden = false;
undo.addEventListener("click", () => editor.undo());
show();
choose();

// The type of the query at the cursor, or of the first query there is.
function typeAtCursor(isMeant) {
  const types = [...area.value.matchAll(/"type"\s*:\s*"([^"]*)"/g)].filter(([, kind]) => isMeant(kind));
  const rest = area.value.indexOf("\n", editor.cursor);
  const end = rest < 0 ? area.value.length : rest;
  return types.findLast(({ index }) => index < end) ?? types[0];
}

function choose() {
  const kind = typeAtCursor((kind) => kinds.some(({ dataset }) => dataset.kind === kind))?.[1];
  if (!kind || kind === chosen) return;
  chosen = kind;
  for (const one of kinds) one.open = one.dataset.kind === kind;
}

// A member becomes a button that writes it, right after the type of its query.
function offer(kind, code) {
  const button = element("button");
  const name = code.textContent;
  button.type = "button";
  button.setAttribute("aria-label", `Insert ${name}`);
  code.replaceWith(button);
  button.append(code);
  button.addEventListener("click", () => {
    const type = typeAtCursor((own) => own === kind);
    const { blank } = code.dataset;
    let [at, begin] = [editor.cursor, ""];
    if (type) {
      at = type.index + type[0].length;
      const before = area.value.slice(0, type.index);
      const line = before.slice(before.lastIndexOf("\n") + 1);
      begin = /^\s*$/.test(line) ? `,\n${line}` : ", ";
    }
    const what = `${begin}"${name}": ${blank}`;
    editor.insert(at, what, at + what.length - blank.length + Math.max(blank.indexOf('""'), 0) + 1);
  });
}

async function check(into = "") {
  asked?.abort();
  const own = asked = new AbortController();
  try {
    const answer = await fetch("/ui/configs/check", {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams({ config: area.value, into }),
      signal: own.signal,
    });
    if (!answer.ok) throw new Error(answer.status);
    const checked = await answer.json();
    findings = checked.findings;
    show();
    return checked.text;
  } catch {
    if (!own.signal.aborted) tell("unknown");
    return undefined;
  }
}

// Into the other format, where it can be read in its own.
async function turned() {
  clearTimeout(timer);
  const written = area.value;
  const text = await check(isYaml(written) ? "json" : "yaml");
  // Who went on writing keeps what was written.
  if (text !== undefined && area.value === written) editor.text = text;
}

function show() {
  const severities = findings.map((finding) => finding.severity);
  tell(["error", "warning", "note"].find((severity) => severities.includes(severity)) ?? "fine");
  list.replaceChildren(...findings.map(item));
  editor.mark(findings);
  turn.hidden = false;
  turn.textContent = isYaml(area.value) ? "Turn it into JSON" : "Turn it into YAML";
}

function tell(state) {
  verdict.className = "is-" + state;
  if (verdict.textContent !== TOLD[state]) verdict.textContent = TOLD[state];
  editor.isInvalid = state === "error";
}

function item(finding) {
  const { severity, path, line, column, message } = finding;
  const entry = element("li");
  entry.dataset.severity = severity;
  const where = element("span", "where");
  if (line) {
    const link = element("a");
    link.href = "#config";
    link.textContent = `line ${line}` + (column ? `, column ${column}` : "");
    link.addEventListener("click", (event) => {
      event.preventDefault();
      editor.go(finding);
    });
    where.append(link);
  }
  if (path) {
    const code = element("code");
    code.textContent = path;
    where.append(" ", code);
  }
  const told = element("span", "message");
  told.textContent = message;
  entry.append(where, told);
  return entry;
}

function element(name, className) {
  const made = document.createElement(name);
  if (className) made.className = className;
  return made;
}

// The editor of canary configs: numbers beside the lines, checks as one types, and the members that
// the query at the cursor can have.
"use strict";

(() => {
  const text = document.getElementById("config");
  const form = text && text.form;
  if (!form) return;

  const verdict = document.getElementById("verdict");
  const list = document.getElementById("findings");
  const LINE = 18;
  const PAUSE = 300;
  const INDENT = "  ";
  const RANK = { note: 1, warning: 2, error: 3 };
  const TOLD = {
    error: "It cannot be stored like this.",
    warning: "It can be stored, but no canary can be judged with it yet.",
    note: "It can be judged with; see what is doubtful.",
    fine: "Nothing is wrong with it.",
    unknown: "It cannot be checked now; serin does not answer.",
  };

  const gutter = element("div", "gutter");
  const numbers = element("div");
  const marks = element("div", "marks");
  gutter.setAttribute("aria-hidden", "true");
  gutter.append(numbers);
  text.before(gutter);
  const page = element("div", "page");
  text.before(page);
  page.append(marks, text);
  document.getElementById("keys").hidden = false;

  let findings = [...list.children].map((item) => ({
    severity: item.dataset.severity,
    path: item.querySelector("code")?.textContent ?? "",
    line: Number(/line (\d+)/.exec(item.textContent)?.[1]) || null,
    column: Number(/column (\d+)/.exec(item.textContent)?.[1]) || null,
    message: item.querySelector(".message").textContent,
  }));
  const stored = text.value;
  let isSending = false;
  let asked = null;
  let timer = 0;
  let mayLeave = false;

  text.addEventListener("input", () => {
    number();
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE);
  });
  text.addEventListener("scroll", follow);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      mayLeave = true;
      return;
    }
    if (event.key === "Tab" && !event.shiftKey && !mayLeave && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      insert(INDENT);
    } else if (event.key === "Enter" && !event.isComposing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const before = text.value.slice(0, text.selectionStart);
      const line = before.slice(before.lastIndexOf("\n") + 1);
      const deeper = /[[{]\s*$/.test(line) ? INDENT : "";
      insert("\n" + /^\s*/.exec(line)[0] + deeper);
    }
    if (event.key !== "Tab" && event.key !== "Shift") mayLeave = false;
  });
  text.addEventListener("blur", () => { mayLeave = false; });
  form.addEventListener("submit", (event) => { isSending = !event.submitter?.formTarget; });
  addEventListener("pageshow", () => { isSending = false; });
  addEventListener("beforeunload", (event) => {
    if (!isSending && text.value !== stored) event.preventDefault();
  });
  const kinds = [...document.querySelectorAll(".kind")];
  let chosen = null;
  document.addEventListener("selectionchange", () => {
    if (document.activeElement === text) choose();
  });
  for (const kind of kinds) {
    for (const code of kind.querySelectorAll("[data-blank]")) offer(kind.dataset.kind, code);
  }
  number();
  show();
  choose();

  // Through the browser's own editing, so that it can be undone.
  function insert(what) {
    if (!document.execCommand("insertText", false, what)) {
      text.setRangeText(what, text.selectionStart, text.selectionEnd, "end");
      text.dispatchEvent(new Event("input"));
    }
  }

  // The type of the query at the cursor, or of the first query there is.
  function typeAtCursor(isMeant) {
    const types = [...text.value.matchAll(/"type"\s*:\s*"([^"]*)"/g)].filter(([, kind]) => isMeant(kind));
    const rest = text.value.indexOf("\n", text.selectionStart);
    const end = rest < 0 ? text.value.length : rest;
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
      let begin = "";
      if (type) {
        const at = type.index + type[0].length;
        const before = text.value.slice(0, type.index);
        const line = before.slice(before.lastIndexOf("\n") + 1);
        begin = /^\s*$/.test(line) ? `,\n${line}` : ", ";
        text.setSelectionRange(at, at);
      }
      text.focus();
      insert(`${begin}"${name}": ${blank}`);
      const inside = text.selectionStart - blank.length + Math.max(blank.indexOf('""'), 0) + 1;
      text.setSelectionRange(inside, inside);
    });
  }

  async function check() {
    asked?.abort();
    const own = asked = new AbortController();
    try {
      const answer = await fetch("/ui/configs/check", {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams({ config: text.value }),
        signal: own.signal,
      });
      if (!answer.ok) throw new Error(answer.status);
      findings = (await answer.json()).findings;
      show();
    } catch {
      if (!own.signal.aborted) tell("unknown");
    }
  }

  function show() {
    const severities = findings.map((finding) => finding.severity);
    tell(["error", "warning", "note"].find((severity) => severities.includes(severity)) ?? "fine");
    list.replaceChildren(...findings.map(item));
    number();
  }

  function tell(state) {
    verdict.className = "is-" + state;
    if (verdict.textContent !== TOLD[state]) verdict.textContent = TOLD[state];
    text.setAttribute("aria-invalid", String(state === "error"));
  }

  function item({ severity, path, line, column, message }) {
    const entry = element("li");
    entry.dataset.severity = severity;
    const where = element("span", "where");
    if (line) {
      const link = element("a");
      link.href = "#config";
      link.textContent = `line ${line}` + (column ? `, column ${column}` : "");
      link.addEventListener("click", (event) => {
        event.preventDefault();
        go(line, column ?? 1);
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

  function go(line, column) {
    const lines = text.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    const at = Math.min(start + column - 1, start + (lines[line - 1] ?? "").length);
    text.focus();
    text.setSelectionRange(at, at);
    text.scrollTop = (line - 1) * LINE - text.clientHeight / 3;
    text.scrollLeft = 0;
  }

  // One number a line, and a mark where something is wrong.
  function number() {
    const count = text.value.split("\n").length;
    const worst = new Map();
    for (const { line, severity } of findings) {
      if (line && !(RANK[worst.get(line)] > RANK[severity])) worst.set(line, severity);
    }
    numbers.replaceChildren(...Array.from({ length: count }, (_, at) => {
      const one = element("span");
      if (worst.has(at + 1)) one.dataset.severity = worst.get(at + 1);
      one.textContent = at + 1;
      return one;
    }));
    gutter.style.width = `${Math.max(2, String(count).length) + 3}ch`;
    marks.replaceChildren(...[...worst].map(([line, severity]) => {
      const mark = element("div");
      mark.dataset.severity = severity;
      mark.dataset.line = line;
      return mark;
    }));
    follow();
  }

  function follow() {
    numbers.style.transform = `translateY(${-text.scrollTop}px)`;
    for (const mark of marks.children) {
      mark.style.top = `${8 + (mark.dataset.line - 1) * LINE - text.scrollTop}px`;
    }
  }

  function element(name, className) {
    const made = document.createElement(name);
    if (className) made.className = className;
    return made;
  }
})();

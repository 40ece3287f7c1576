// A form for the canary config beside its text: both are the same document.
import { Document, choiceField, h, numberField, textField, textsField } from "./fields.js";
import { isYaml } from "./editor.js";
import { metricForm } from "./metric.js";
import { sourceOf, templatesOf } from "./series.js";

const UNREADABLE = "The text cannot be read just now: mend it, and the form shows it again.";
const IN_YAML = "The form changes JSON: turn the text into it first.";
const METRICS = ["metrics"];
const WEIGHTS = ["classifier", "groupWeights"];
const OWN = { name: "a metric of the source", says: "Its query is picked from what the source has" };

/// Fills `place` with the form; what it returns is to be told of every change of the text.
export function formOf(place, editor) {
  const config = new Document(editor);
  const told = h("p", { className: "notice caution", hidden: true });
  const status = h("p", { className: "hidden", role: "status" });
  const body = h("div");
  const source = sourceOf(editor);
  let made = null;
  const isNew = "new" in place.dataset;
  // Which metrics are open after the next change of the list.
  let opened = isNew ? [true] : null;
  place.append(told, body, status);

  const judges = [];
  fetch("/judges").then((answer) => answer.json()).then((all) => {
    judges.push(...all.filter(({ visible }) => visible).map(({ name }) => name));
    config.refresh();
  }).catch(() => {});

  // What the shape of the form hangs on.
  const shape = () => JSON.stringify([
    config.value.metrics?.map?.((metric) => metric?.query?.type ?? null), isSequential(config),
  ]);

  function show() {
    const isReadable = config.read();
    told.hidden = isReadable;
    told.textContent = isYaml(editor.text) ? IN_YAML : UNREADABLE;
    body.hidden = !isReadable;
    if (!isReadable) return;
    const own = shape();
    if (own === made) {
      config.refresh();
      groups.show();
      for (const metric of body.querySelectorAll(".metric-form")) metric.showTitle();
      return;
    }
    made = own;
    // Who writes goes on in the same field.
    const places = () => [...body.querySelectorAll("input, select, textarea, summary, [contenteditable]")];
    const writing = places().indexOf(document.activeElement);
    build();
    if (writing >= 0) places()[writing]?.focus();
  }

  const groups = groupTable(config);

  function build() {
    const open = opened ?? isOpen();
    opened = null;
    const metrics = Array.isArray(config.value.metrics) ? config.value.metrics : [];
    const choices = (none) => () => [["", none], ...judges.map((name) => [name, name])];
    body.replaceChildren(
      h("div", { className: "fields" },
        textField(config, "Name", ["name"], { then: isNew ? nameApplication : undefined }),
        textsField(config, "Applications", ["applications"], { says: "with commas between them" }),
        choiceField(config, "Judge", ["judge", "name"], choices("NetflixACAJudge-v1.0, as none is named")),
        choiceField(config, "Beside it", ["judge", "judgeConfigurations", "shadow"], choices("no other judge")),
        isSequential(config) ? numberField(config, "Margin", ["judge", "judgeConfigurations", "margin"],
          { says: "of metrics that give none; 0.05 is 5 %" }) : null),
      textField(config, "Description", ["description"]),
      h("h3", {}, "Groups"),
      groups.element,
      h("h3", {}, "Metrics"),
      source.element,
      h("div", { className: "metric-forms" }, metrics.map((_, index) => metricForm(config, index, {
        isOpen: open[index] === true, count: metrics.length, source, isSequential: isSequential(config), move, copy, remove,
      }))),
      adding(),
    );
    groups.show();
  }

  /// The application is called as the config until it gets a name of its own.
  function nameApplication(name = "", before = "") {
    const own = config.at(["applications"]);
    if (Array.isArray(own) && own.length === 1 && own[0] === before) config.set(["applications"], [name]);
  }

  const isOpen = () => [...body.querySelectorAll(".metric-form")].map((one) => one.open);
  /// The list changes, and who is open moves with it.
  function change(open, edit) {
    [made, opened] = [null, open];
    edit();
  }
  const summary = (index) => body.querySelectorAll(".metric-form > summary")[index];
  const name = (index) => config.at(["metrics", index, "name"]) || "the metric";

  function move(index, to) {
    const open = isOpen();
    [open[index], open[to]] = [open[to], open[index]];
    change(open, () => config.swap(METRICS, index, to));
    summary(to).focus();
    status.textContent = `${name(to)} is number ${to + 1} now.`;
  }

  function copy(index) {
    const metric = structuredClone(config.at(["metrics", index]));
    const names = new Set(config.value.metrics.map((one) => one?.name));
    let copied = `${metric.name ?? "metric"} copy`;
    for (let more = 2; names.has(copied); more++) copied = `${metric.name ?? "metric"} copy ${more}`;
    add({ ...metric, name: copied }, index + 1);
  }

  function remove(index) {
    status.textContent = `${name(index)} is removed; undo brings it back.`;
    change(isOpen().toSpliced(index, 1), () => config.remove(["metrics", index]));
    (summary(Math.max(0, index - 1)) ?? body.querySelector("select")).focus();
  }

  function add(metric, index) {
    change(isOpen().toSpliced(index, 0, true), () => {
      if (Array.isArray(config.value.metrics)) config.insert(["metrics", index], metric);
      else config.set(METRICS, [metric]);
    });
    summary(index).focus();
    status.textContent = `${name(index)} is added.`;
  }

  // What a new metric begins as: one of the library, of the kind of queries that is chosen.
  function adding() {
    const kinds = [...document.querySelectorAll(".kind")].map(({ dataset }) => dataset.kind);
    const last = config.value.metrics?.at?.(-1)?.query?.type;
    const kind = h("select", { id: "add-kind" }, kinds.map((one) => h("option", { selected: one === last }, one)));
    const template = h("select", { id: "add-template", "aria-describedby": "add-says" });
    const says = h("p", { className: "quiet", id: "add-says" });
    let offered = [];
    const tell = () => {
      const { says: what, needs } = offered[template.selectedIndex] ?? {};
      says.textContent = [what, needs && `It needs ${needs}.`].filter(Boolean).join(". ");
    };
    const load = async () => {
      const asked = kind.value;
      const library = await templatesOf(asked);
      if (asked !== kind.value) return;
      offered = asked === "prometheus" ? [OWN, ...library] : library;
      template.replaceChildren(...offered.map(({ name: one }) => h("option", {}, one.replace(/^serin:/, ""))));
      tell();
    };
    kind.addEventListener("change", load);
    template.addEventListener("change", tell);
    const details = h("details", { className: "adding" }, h("summary", {}, "Add a metric"),
      h("div", { className: "fields" },
        h("p", {}, h("label", { htmlFor: kind.id }, "Asks"), kind),
        h("p", {}, h("label", { htmlFor: template.id }, "Begins as"), template),
        h("p", {}, h("button", {
          type: "button", className: "button", onclick() {
            const { metric } = offered[template.selectedIndex] ?? {};
            const groups = Object.keys(config.at(WEIGHTS) ?? {}).slice(0, 1);
            const blank = { name: "", query: { type: kind.value }, groups, analysisConfigurations: { canary: {} }, scopeName: "default" };
            add(metric ?? blank, config.value.metrics?.length ?? 0);
          },
        }, "Add it"))), says);
    details.addEventListener("toggle", () => { if (details.open && !offered.length) load(); });
    return details;
  }

  // A page that tells of a metric leads to it.
  function goTo(name) {
    const metrics = Array.isArray(config.value?.metrics) ? config.value.metrics : [];
    const index = metrics.findIndex((metric) => metric?.name === name);
    if (index < 0) return;
    editor.show(config.placeOf(METRICS, index));
    summary(index).parentElement.open = true;
    summary(index).focus();
  }

  show();
  const wanted = new URLSearchParams(location.hash.slice(1)).get("metric");
  if (wanted !== null) goTo(wanted);
  return show;
}

const isSequential = (config) => [["judge", "name"], ["judge", "judgeConfigurations", "shadow"]]
  .some((path) => config.at(path) === "sequential-v1");

/// Every group that a metric is in or that has a weight, and what the weights add up to.
function groupTable(config) {
  const sum = h("output");
  const rows = h("tbody");
  const element = h("table", { className: "weights" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Group"), h("th", { scope: "col" }, "Weight"), h("th", { scope: "col" }, "Metrics"))),
    rows, h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "Sum"), h("td", {}, sum), h("td"))));
  let shown = null;
  return {
    element,
    show() {
      const weights = config.at(WEIGHTS) ?? {};
      const metrics = Array.isArray(config.value.metrics) ? config.value.metrics : [];
      const of = metrics.map((metric) => (Array.isArray(metric?.groups) ? metric.groups : []));
      const names = [...new Set([...Object.keys(weights), ...of.flat()])];
      const own = JSON.stringify([names, of.map((groups) => groups.join("\n"))]);
      if (own !== shown) {
        shown = own;
        rows.replaceChildren(...names.map((name) => {
          const field = h("input", { inputMode: "decimal", autocomplete: "off", "aria-label": `Weight of ${name}` });
          field.addEventListener("input", () => {
            const number = Number(field.value.replace(",", "."));
            if (field.value.trim() === "") config.remove([...WEIGHTS, name]);
            else if (Number.isFinite(number)) config.set([...WEIGHTS, name], number);
          });
          config.bind(field, () => { field.value = config.at([...WEIGHTS, name]) ?? ""; });
          const count = of.filter((groups) => groups.includes(name)).length;
          return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, field), h("td", {}, String(count)));
        }));
      }
      const total = Object.values(weights).reduce((all, weight) => all + (Number(weight) || 0), 0);
      sum.textContent = total === 100 || !names.length ? String(total) : `${Math.round(total * 1000) / 1000}: 100 is wanted`;
      sum.className = total === 100 || !names.length ? "" : "off";
    },
  };
}

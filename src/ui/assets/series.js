// What is asked of a source while one writes a config: the names that it has, and the series of a query.
import { h } from "./fields.js";
import { offersOf } from "./offers.js";

const WINDOWS = [[15, "15 minutes"], [60, "hour"], [360, "6 hours"], [1440, "day"]];
const KEPT = "serin.asked";

const offered = new Map();

/// The metrics that queries of that kind can begin as.
export function templatesOf(kind) {
  if (!offered.has(kind)) {
    const asked = fetch(`/ui/configs/templates?type=${encodeURIComponent(kind)}`, { headers: { Accept: "application/json" } });
    offered.set(kind, asked.then((answer) => (answer.ok ? answer.json() : [])).catch(() => []));
  }
  return offered.get(kind);
}

/// Who is asked, for what, and the names of metrics there.
export function sourceOf(editor) {
  const account = h("select", { id: "asked-account" });
  const input = (id, more) => h("input", { id, autocomplete: "off", spellcheck: false, ...more });
  const fields = {
    account,
    control: input("asked-control", { placeholder: "v1" }),
    experiment: input("asked-experiment", { placeholder: "v2" }),
    location: input("asked-location"),
    minutes: h("select", { id: "asked-minutes" }, WINDOWS.map(([minutes, name]) => h("option", { value: minutes, selected: minutes === 60 }, `the last ${name}`))),
    parameters: h("textarea", { id: "asked-parameters", rows: 1, spellcheck: false, placeholder: "name=value" }),
  };
  const labels = {
    account: "Source", control: "Control, scope", experiment: "Experiment, scope", location: "Location", minutes: "Over", parameters: "Parameters",
  };
  const offers = { control: offersOf(fields.control, "Control: what the source has"), experiment: offersOf(fields.experiment, "Experiment: what the source has") };
  const known = new Map();
  const heard = [];
  const kept = (() => { try { return JSON.parse(sessionStorage.getItem(KEPT)) ?? {}; } catch { return {}; } })();
  for (const [name, field] of Object.entries(fields)) {
    if (kept[name] !== undefined && name !== "account") field.value = kept[name];
    field.addEventListener("input", () => {
      kept[name] = field.value;
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
      known.clear();
      if (field === account) heard.forEach((hear) => hear());
    });
  }
  const element = h("details", { className: "asked" }, h("summary", {}, "Who is asked while you write"),
    h("div", { className: "fields" }, Object.entries(fields).map(([name, field]) => h("p", {}, h("label", { htmlFor: field.id }, labels[name]), field, offers[name]?.element))));

  const ready = fetch("/metricsServices").then((answer) => answer.json()).then((all) => {
    account.replaceChildren(...all.map(({ name, type }) => h("option", { value: name }, `${name} (${type})`)));
    const first = all.find(({ name }) => name === kept.account) ?? all.find(({ type }) => type === kindIn(editor.text));
    if (first) account.value = first.name;
  }).catch(() => {});

  // Once for each address; what is not answered is an empty list.
  async function listed(path, asked) {
    if (!account.value) return [];
    const address = `${path}?${new URLSearchParams(asked)}`;
    if (!known.has(address)) {
      known.set(address, fetch(address, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : [])).catch(() => []));
    }
    return known.get(address);
  }

  async function metricNames(part = "") {
    await ready;
    const all = await listed("/metadata/metricsService", { metricsAccountName: account.value, filter: part });
    return all.map(({ name }) => name);
  }

  async function labelsOf(metric = "", label = "") {
    await ready;
    return listed("/ui/configs/labels", { account: account.value, metric, label });
  }

  /// As codemirror-promql asks.
  const names = {
    metricNames,
    labelNames: (metric) => labelsOf(metric),
    labelValues: (label, metric) => labelsOf(metric, label),
    metricMetadata: async () => ({}),
    series: async () => [],
    flags: async () => ({}),
  };

  /// A button, and below it what came of it.
  function preview(config, index, list) {
    const shown = h("div", { className: "previewed", role: "status" });
    const button = h("button", { type: "button", className: "button", onclick: show }, "Show its series now");
    element.addEventListener("input", () => { shown.replaceChildren(); });
    let timer = 0;
    config.bind(list, () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const part = config.at(["metrics", index, "query", "metricName"]);
        if (typeof part !== "string" || !list.isConnected) return;
        const all = await metricNames(part);
        list.replaceChildren(...all.slice(0, 50).map((name) => h("option", { value: name })));
      }, 300);
    });

    async function show() {
      if (needs(config, index) && !fields.control.value) {
        element.open = true;
        fields.control.focus();
        shown.replaceChildren(h("p", { className: "problem" }, "Say which scopes are compared: Control and Experiment, above the metrics."));
        return;
      }
      button.disabled = true;
      shown.replaceChildren(h("p", { className: "quiet" }, "Asking …"));
      const body = new URLSearchParams(Object.entries(fields).map(([name, field]) => [name, field.value]));
      body.set("config", editor.text);
      body.set("metric", index);
      try {
        const answer = await fetch("/ui/configs/series", { method: "POST", headers: { Accept: "application/json" }, body });
        const told = await answer.json();
        shown.replaceChildren(...answer.ok ? drawn(told) : [h("p", { className: "problem" }, told.message)]);
      } catch {
        shown.replaceChildren(h("p", { className: "problem" }, "serin does not answer."));
      } finally {
        button.disabled = false;
      }
    }
    return h("div", { className: "preview" }, button, shown);
  }

  return {
    element,
    names,
    preview,
    /// Who is asked; empty where nobody can be.
    name: () => account.value,
    /// What both sides can be, as a metric has it.
    offerScopes(values) { for (const side of Object.values(offers)) side.values = values; },
    /// `hear` is called when somebody else is asked.
    onChange(hear) { heard.push(hear); },
  };
}

/// Who the first metric asks.
function kindIn(text) {
  try { return JSON.parse(text).metrics?.[0]?.query?.type; } catch { return undefined; }
}

const needs = (config, index) => JSON.stringify(config.at(["metrics", index, "query"]) ?? "").includes("${scope}");

function drawn({ series, more }) {
  if (!series.length) return [h("p", {}, "Neither side has series over that time.")];
  const figures = series.map(({ of, label, class: look, sentence, warnings, svg }) => h("figure", {},
    svg ? h("img", { src: `data:image/svg+xml,${encodeURIComponent(svg)}`, alt: "Both sides over time" }) : null,
    h("figcaption", {}, h("span", { className: `badge ${look}` }, label), " ", of && h("code", {}, of), of && " ", sentence,
      warnings.map((warning) => h("span", { className: "quiet" }, ` ${warning}`)))));
  return more ? [...figures, h("p", { className: "quiet" }, `${more} more series are not drawn.`)] : figures;
}

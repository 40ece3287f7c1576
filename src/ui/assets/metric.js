// The form of one metric: what it asks, in which groups it is, and when it is bad.
import { choiceField, flagField, h, jsonField, numberField, textField, textsField } from "./fields.js";
import { queryField } from "./editor.js";
import { pickedForm } from "./picked.js";
import { templatesOf } from "./series.js";

const PROMQL = "PromQL:";
const INLINE = ["customInlineTemplate", "template"];
const DIRECTIONS = [["", "both, as none is named"], ["increase", "an increase"], ["decrease", "a decrease"], ["either", "both"]];
const NANS = [["", "left out, as nothing is said"], ["remove", "left out"], ["replace", "taken for 0"]];
const OUTLIERS = [["", "kept, as nothing is said"], ["keep", "kept"], ["remove", "left out"]];

export function metricForm(config, index, { isOpen, count, source, isSequential, move, copy, remove }) {
  const path = (...steps) => ["metrics", index, ...steps];
  const of = (...steps) => config.at(path(...steps));
  const title = h("b");
  const about = h("span", { className: "quiet" });
  const details = h("details", { className: "metric-form", open: isOpen }, h("summary", {}, title, " ", about));
  details.showTitle = () => {
    title.textContent = of("name") || `metric ${index + 1}`;
    const groups = of("groups");
    about.textContent = [of("query", "type"), Array.isArray(groups) && groups.join(", "), of("analysisConfigurations", "canary", "critical") === true && "critical"]
      .filter(Boolean).join(" · ");
  };
  details.showTitle();
  const button = (label, does, isOff) => h("button", {
    type: "button", className: "button", disabled: isOff, onclick: does, "aria-label": `${label}: ${of("name") || `metric ${index + 1}`}`,
  }, label);
  const fill = () => {
    if (details.childElementCount > 1) return;
    const policy = (...steps) => path("analysisConfigurations", "canary", ...steps);
    const size = (...steps) => policy("effectSize", ...steps);
    details.append(
      h("div", { className: "fields" },
        textField(config, "Name", path("name")),
        textsField(config, "Groups", path("groups"), { says: "with commas between them" }),
        textField(config, "Scope name", path("scopeName")),
        textField(config, "Unit", path("unit"), { says: "as it is shown, such as ms" }),
        choiceField(config, "Bad is", policy("direction"), () => DIRECTIONS)),
      query(config, index, source),
      h("div", { className: "fields" },
        numberField(config, isSequential ? "Margin up, as a ratio" : "Counts from an increase to", size("allowedIncrease"), { says: "1.1 lets +10 % pass" }),
        numberField(config, isSequential ? "Margin down, as a ratio" : "or a decrease to", size("allowedDecrease"), { says: "0.9 lets −10 % pass" }),
        numberField(config, "Critical from an increase to", size("criticalIncrease")),
        numberField(config, "or a decrease to", size("criticalDecrease")),
        isSequential ? numberField(config, "Least change", policy("minimumChange"), { says: "in the unit of the metric" }) : null),
      h("div", { className: "fields" },
        choiceField(config, "Values that are NaN are", policy("nanStrategy"), () => NANS),
        choiceField(config, "Outliers are", policy("outliers", "strategy"), () => OUTLIERS),
        numberField(config, "Outlier factor", policy("outliers", "outlierFactor"))),
      h("p", { className: "flags" },
        flagField(config, "Critical: its failure fails the canary", policy("critical")),
        flagField(config, "Must have data: without, it fails", policy("mustHaveData"))),
      h("div", { className: "actions" },
        button("Move up", () => move(index, index - 1), index === 0),
        button("Move down", () => move(index, index + 1), index === count - 1),
        button("Copy", () => copy(index)),
        button("Remove", () => remove(index))),
    );
  };
  details.addEventListener("toggle", () => { if (details.open) fill(); });
  if (isOpen) fill();
  return details;
}

/// The query by the members of its kind, and its series.
function query(config, index, source) {
  const path = (...steps) => ["metrics", index, "query", ...steps];
  const kind = config.at(path("type"));
  const kinds = [...document.querySelectorAll(".kind")].map(({ dataset }) => [dataset.kind, dataset.kind]);
  const help = document.querySelector(`.kind[data-kind="${CSS.escape(kind ?? "")}"]`);
  const members = [...help?.querySelectorAll("[data-blank]") ?? []].map((code) => ({
    name: code.textContent,
    blank: code.dataset.blank,
    says: code.closest("dt").nextElementSibling.textContent,
  }));
  const isText = ({ blank }) => blank === '""';
  const names = h("datalist", { id: `names-${index}` });
  const own = members.filter(({ name }) => name !== "customInlineTemplate");
  return h("fieldset", { className: "query-form" },
    h("legend", {}, "Query"),
    h("div", { className: "fields" },
      choiceField(config, "Asks", path("type"), () => kinds),
      textField(config, "Named template", path("customFilterTemplate"), { list: `templates-${index}` }),
      templateNames(config, index, kind)),
    kind === "prometheus" ? pickedForm(config, index, source) : null,
    template(config, index, kind, source, members.find(({ name }) => name === "customInlineTemplate")?.says),
    own.length ? h("details", { open: own.some(({ name }) => config.at(path(name)) !== undefined) },
      h("summary", {}, "Its members"), names,
      h("div", { className: "fields" }, own.map((member) => (isText(member) ? textField : jsonField)(
        config, member.name, path(member.name), { says: member.says, list: member.name === "metricName" ? names.id : undefined },
      )))) : null,
    source.preview(config, index, names),
  );
}

/// Those of the config, and those of the library for queries of that kind.
function templateNames(config, index, kind) {
  const list = h("datalist", { id: `templates-${index}` });
  let library = [];
  const show = () => list.replaceChildren(
    ...[...Object.keys(config.at(["templates"]) ?? {}), ...library].map((name) => h("option", { value: name })),
  );
  const isKnown = [...document.querySelectorAll(".kind")].some(({ dataset }) => dataset.kind === kind);
  if (isKnown) {
    templatesOf(kind).then((offered) => {
      library = offered.map(({ name }) => name).filter((name) => name.startsWith("serin:"));
      show();
    });
  }
  return config.bind(list, show);
}

/// The template in its own small editor; that of PromQL knows its functions, and the metrics that there are.
function template(config, index, kind, source, says) {
  const path = (name) => ["metrics", index, "query", name];
  const holds = () => INLINE.findLast((name) => typeof config.at(path(name)) === "string") ?? INLINE[0];
  const written = () => config.at(path(holds())) ?? "";
  const isPromql = kind === "prometheus";
  let prefix = isPromql && (written().startsWith(PROMQL) || written() === "") ? PROMQL : "";
  const label = prefix ? "PromQL" : "Template";
  const told = h("span", { className: "says", id: `template-says-${index}` }, prefix ? "${scope} is what a run says of each side" : says ?? "");
  const field = queryField({
    text: written().slice(written().startsWith(prefix) ? prefix.length : 0),
    label: `${label} of ${config.at(["metrics", index, "name"]) || `metric ${index + 1}`}`,
    describedBy: told.id,
    client: prefix ? source.names : undefined,
    onChange: (text) => config.set(path(holds()), text === "" ? undefined : prefix + text),
  });
  const element = h("div", { className: "template-form" }, h("span", { className: "label", "aria-hidden": "true" }, label),
    h("div", { className: "code" }, field.view.dom), told);
  return config.bind(element, () => {
    const text = written();
    if (prefix && text !== "" && !text.startsWith(PROMQL)) prefix = "";
    field.text = text.slice(prefix && text.startsWith(prefix) ? prefix.length : 0);
  });
}

// PromQL that is picked from what its source has: a metric, and the label that tells the sides apart.
import { h } from "./fields.js";
import { offersOf } from "./offers.js";

const PAUSE = 250;
const PROMQL = "PromQL:";
const METRIC = /^[a-zA-Z_:][\w:]*$/;
const LABEL = /^[a-zA-Z_]\w*$/;
const SELECTOR = /([a-zA-Z_:][\w:]*)\{([a-zA-Z_]\w*)="\$\{scope\}"\}/;
const OTHER_MEMBERS = ["template", "customFilterTemplate", "metricName"];

// Names that one looks for first, but not what every program tells of itself; labels that mostly hold a version.
const TELLING = /error|fail|5xx|exception|latency|duration|requests/;
const OF_PROGRAMS = /^(go|process|prometheus|promhttp|scrape|net_conntrack)_/;
const LABELS = [
  "version", "app_version", "app_kubernetes_io_version", "release", "revision", "track", "variant", "subset",
  "destination_version", "deployment", "pod_template_hash", "color", "pod", "instance",
];
const NEVER = ["__name__", "le"];

/// A counter by its rate, a histogram by a quantile, all else by its mean.
function queryOf(metric, label) {
  const side = `${metric}{${label}="\${scope}"}`;
  if (metric.endsWith("_bucket")) return `${PROMQL}histogram_quantile(0.99, sum by (le) (rate(${side}[1m])))`;
  if (/_(total|count|sum)$/.test(metric)) return `${PROMQL}sum(rate(${side}[1m]))`;
  return `${PROMQL}avg(${side})`;
}

/// What was picked for a query; null where somebody wrote another one.
function pickedIn(query) {
  if (OTHER_MEMBERS.some((name) => query?.[name] !== undefined)) return null;
  const text = query?.customInlineTemplate ?? "";
  if (text === "") return { metric: "", label: LABELS[0] };
  const [, metric, label] = SELECTOR.exec(text) ?? [];
  return metric !== undefined && text === queryOf(metric, label) ? { metric, label } : null;
}

/// Two fields that write the query of a metric, while it is one that they can write.
export function pickedForm(config, index, source) {
  const path = (...steps) => ["metrics", index, ...steps];
  const metric = asked(`picked-metric-${index}`, "Metric", METRIC, "Metrics of the source");
  const label = asked(`picked-label-${index}`, "Label that tells versions apart", LABEL, "Labels of the metric");
  const element = h("div", { className: "fields picked" }, metric.element, label.element);
  let [shown, names, timer, turn] = [null, [], 0, 0];

  function write() {
    if ([metric.isRight(), label.isRight()].includes(false)) return;
    const [name, before] = [config.at(path("name")), shown?.metric];
    shown = { metric: metric.value, label: label.value };
    config.set(path("query", "customInlineTemplate"), queryOf(shown.metric, shown.label));
    // A name of one's own stays.
    if (!name || name === before) config.set(path("name"), shown.metric);
  }

  function show() {
    const picked = pickedIn(config.at(path("query")));
    element.hidden = !picked;
    if (JSON.stringify(picked) === JSON.stringify(shown)) return;
    shown = picked;
    if (!picked) return;
    [metric.value, label.value] = [picked.metric, picked.label];
    later(false);
  }

  // Only who picks a metric has its label guessed: to look at a config does not change it.
  function later(mayGuess) {
    clearTimeout(timer);
    timer = setTimeout(lookUp, PAUSE, mayGuess, ++turn);
  }

  /// Whether somebody typed on, chose another source or wrote another query before it was answered.
  const isLate = (own) => own !== turn || element.hidden || !element.isConnected;

  async function lookUp(mayGuess, own) {
    const name = metric.value;
    // Who pressed one of those that are offered may press another.
    if (!names.includes(name)) {
      const found = await namesLike(source, name);
      if (isLate(own)) return;
      names = metric.offers.values = found;
    }
    const is = names.includes(name);
    metric.tell(is || name === "" && names.length ? "" : missing(source.name(), names));
    const labels = is ? await labelsOf(source, name) : [];
    if (isLate(own)) return;
    label.offers.values = labels;
    if (mayGuess && labels.length && !labels.includes(label.value) && LABELS.includes(labels[0])) {
      label.value = labels[0];
      write();
    }
    await tellValues(name, labels, own);
  }

  async function tellValues(name, labels, own) {
    const of = label.value;
    const values = labels.includes(of) ? await source.names.labelValues(of, name) : [];
    if (isLate(own)) return;
    if (values.length) source.offerScopes(values);
    label.tell(labels.length && !labels.includes(of) ? `${name} has no label of that name.` : list(values));
  }

  metric.onInput(() => { write(); later(true); });
  label.onInput(() => { write(); later(false); });
  source.onChange(() => {
    names = [];
    if (element.isConnected && !element.hidden) later(false);
  });
  return config.bind(element, show);
}

/// A field with what is told of it, and what can be pressed for it.
function asked(id, label, form, offered) {
  const field = h("input", { id, autocomplete: "off", spellcheck: false });
  const told = h("span", { className: "says", id: `${id}-says`, role: "status" });
  field.setAttribute("aria-describedby", told.id);
  const offers = offersOf(field, offered);
  return {
    offers,
    element: h("p", {}, h("label", { htmlFor: id }, label), field, told, offers.element),
    onInput: (hear) => field.addEventListener("input", hear),
    get value() { return field.value.trim(); },
    set value(text) {
      field.value = text;
      offers.show();
    },
    isRight() {
      const is = form.test(field.value.trim());
      if (is || field.value === "") field.removeAttribute("aria-invalid");
      else field.setAttribute("aria-invalid", "true");
      return is;
    },
    tell(text) { if (told.textContent !== text) told.textContent = text; },
  };
}

/// All, where none is like it; the likeliest first.
async function namesLike(source, part) {
  let names = await source.names.metricNames(part);
  if (!names.length && part) names = await source.names.metricNames();
  return [...names.filter(isLikely), ...names.filter((name) => !isLikely(name))];
}

const isLikely = (name) => TELLING.test(name) && !OF_PROGRAMS.test(name);

async function labelsOf(source, metric) {
  const labels = (await source.names.labelNames(metric)).filter((label) => !NEVER.includes(label));
  const likely = LABELS.filter((label) => labels.includes(label));
  return [...likely, ...labels.filter((label) => !likely.includes(label))];
}

function missing(name, names) {
  if (!name) return "There is no metrics account that could be asked.";
  return names.length ? `${name} has no metric of that name.` : `${name} tells no names of metrics now.`;
}

function list(values) {
  const more = values.length - 4;
  return values.length ? `Its values: ${values.slice(0, 4).join(", ")}${more > 0 ? ` and ${more} more` : ""}.` : "";
}

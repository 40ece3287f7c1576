// What pages do with scripts: local times, live runs, charts, tables. Without them all can be read.
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(name), attributes);
    element.append(...children);
    return element;
  };
  // Times are told in UTC or as the reader's clock has them; what was chosen last is kept.
  const kept = name => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* For this page only. */ } };
  let isLocal = kept("serin.zone") === "local";
  const zone = () => isLocal ? "local" : "UTC";
  const utc = millis => new Date(millis).toISOString().replace("T", " ").replace(/(\.000)?Z$/, "");
  const told = millis => utc(isLocal ? millis - new Date(millis).getTimezoneOffset() * 60000 : millis);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = value => value == null ? "–" : Number(value.toPrecision(6)).toString();

  // Times come in UTC, whole or in part; a title tells both.
  const TIME = /^(\d{4}-\d\d-\d\d )?\d\d:\d\d(:\d\d)?$/;
  const tellTimes = within => {
    for (const time of all("time[datetime]", within)) {
      const date = new Date(time.dateTime);
      if (isNaN(date)) continue;
      const came = time.dataset.came ??= time.textContent;
      time.title = `${utc(date.getTime())} UTC\n${date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}`;
      if ("ago" in time.dataset) time.textContent = fromNow(date);
      else if (TIME.test(came)) {
        const start = came.includes("-") ? 0 : 11;
        time.textContent = told(date.getTime()).slice(start, start + came.length);
        if ("near" in time.dataset) time.textContent += ` (${fromNow(date)})`;
      }
    }
    for (const name of all("[data-zone]", within)) name.textContent = zone();
    for (const hint of all("[data-hint], [data-script]", within)) hint.hidden = false;
    tellElapsed();
  };
  // In the largest unit of which it is one at least.
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const unitOf = seconds => UNITS.find(([size]) => size <= seconds) ?? UNITS.at(-1);
  const long = seconds => {
    const [size, unit] = unitOf(seconds);
    return `${Math.floor(seconds / size)} ${unit}`;
  };
  const fromNow = date => {
    const seconds = Math.floor((Date.now() - date.getTime()) / 1000);
    return seconds < 0 ? `in ${long(-seconds)}` : `${long(seconds)} ago`;
  };
  const tellElapsed = () => {
    for (const since of all("[data-since]")) {
      const seconds = Math.max(0, Math.floor((Date.now() - new Date(since.dataset.since)) / 1000));
      since.textContent = `, for ${seconds < 60 ? `${seconds} s` : `${long(seconds)} ${long(seconds % unitOf(seconds)[0])}`}`;
    }
  };

  // A part of the page as it is now.
  let turns = 0;
  const shown = new Map();
  const refresh = async selector => {
    const turn = ++turns;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Who asked later has the newer answer, even if this one comes after it.
    if (turn !== turns) return;
    const [old, fresh] = [$(selector), $(selector, page)];
    // Times are told otherwise than they came, so it is compared with what came.
    const came = fresh?.innerHTML;
    if (!old || !fresh || came === (shown.get(selector) ?? old.innerHTML)) return;
    shown.set(selector, came);
    old.replaceChildren(...fresh.childNodes);
    document.title = page.title;
    tellTimes(old);
  };
  const isInUse = part => part.contains(document.activeElement) && part !== document.activeElement;

  // What runs is watched, and the page follows.
  const watch = () => {
    const live = $("[data-live]");
    if (!live) return;
    const main = $("#main");
    const source = new EventSource(live.dataset.live);
    // It may have gone on since the page was written, so that the first event counts too.
    let told;
    source.addEventListener("status", event => {
      if (told !== event.data && !isInUse(main)) refresh("#main").catch(() => {});
      told = event.data;
    });
    source.addEventListener("end", () => {
      source.close();
      // The verdict must be seen, also by who is about to follow a link.
      if (isInUse(main)) main.focus();
      refresh("#main").catch(() => location.reload());
    });
  };

  // A list follows while something in it runs; EventSources would be too many.
  let polling = false;
  const poll = () => setInterval(() => {
    if (polling || !$("[data-poll]") || document.visibilityState !== "visible" || isInUse($("#list"))) return;
    polling = true;
    refresh("#list").catch(() => {}).finally(() => { polling = false; });
  }, 2000);

  // Series of a metric: in the file itself, or asked for once.
  const asked = new Map();
  const series = index => {
    if (!asked.has(index)) asked.set(index, load(index));
    return asked.get(index);
  };
  const load = async index => {
    const inside = document.getElementById(`data-${index}`);
    if (inside) return JSON.parse(inside.textContent);
    const from = $(`[data-chart="${index}"]`).dataset.from;
    const answer = await fetch(from, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).message || answer.statusText);
    return answer.json();
  };

  // Sides with other windows lie over each other: the control moves to the experiment.
  const shift = data => {
    const [control, experiment] = [data.control.times, data.experiment.times];
    if (control.length < 2 || experiment.length < 2) return 0;
    const by = experiment[0] - control[0];
    return Math.abs(by) > control[1] - control[0] ? by : 0;
  };
  const joined = data => {
    const by = shift(data);
    const control = [data.control.times.map(time => time + by), data.control.values];
    // A gap of one side reaches over the times that only the other side has, else a line crosses it.
    const widened = [0, 2];
    return uPlot.join([control, [data.experiment.times, data.experiment.values]], [widened, widened]);
  };

  const charts = new Map();
  const drawChart = async figure => {
    const index = figure.dataset.chart;
    let data;
    try {
      data = await series(index);
    } catch (error) {
      const note = $(".note", figure) || figure.appendChild(make("p", { className: "note" }));
      note.textContent = `The chart cannot be drawn: ${error.message}`;
      asked.delete(index);
      return;
    }
    charts.get(figure)?.destroy();
    const axis = {
      stroke: colour("--quiet"),
      font: "11px " + colour("--sans"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
    };
    const line = (label, name, dash) => ({
      label,
      stroke: colour(name),
      width: 1.5,
      dash,
      points: { size: 4 },
      value: (_, value) => number(value),
    });
    const options = {
      width: figure.clientWidth,
      height: 220,
      ms: 1,
      tzDate: time => isLocal ? new Date(time) : uPlot.tzDate(new Date(time), "Etc/UTC"),
      scales: { x: { time: true } },
      axes: [
        { ...axis, space: 90, values: clock },
        { ...axis, size: (_, values) => 16 + 6.5 * Math.max(3, ...(values || []).map(text => String(text ?? "").length)), values: (_, ticks) => ticks.map(tick => Number(tick.toPrecision(8)).toString()) },
      ],
      series: [
        { label: "Time", value: (_, time) => time == null ? "–" : told(time) },
        line("Control", "--control"),
        line("Experiment", "--experiment"),
      ],
      cursor: { y: false },
    };
    const place = make("div", { className: "plot" });
    $(".still", figure)?.setAttribute("hidden", "");
    $(".plot", figure)?.remove();
    figure.prepend(place);
    charts.set(figure, new uPlot(options, joined(data), place));
    $("canvas", place).setAttribute("role", "img");
    $("canvas", place).setAttribute("aria-label", `${data.name} over time, control and experiment; the data table has the values`);
  };
  // Days only where they change.
  const clock = (_, ticks) => ticks.map((tick, at) => {
    const text = told(tick);
    const isNewDay = at === 0 || told(ticks[at - 1]).slice(0, 10) !== text.slice(0, 10);
    const hasSeconds = ticks.length > 1 && ticks[1] - ticks[0] < 60000;
    return text.slice(11, hasSeconds ? 19 : 16) + (isNewDay ? "\n" + text.slice(0, 10) : "");
  });

  const fillTable = async details => {
    const place = $(".scroll", details);
    if ($("table", place)) return;
    try {
      const data = await series(details.dataset.table);
      const by = shift(data);
      const [times, control, experiment] = joined(data);
      const names = by ? [`Time (${zone()})`, "Control was at", "Control", "Experiment"] : [`Time (${zone()})`, "Control", "Experiment"];
      const head = make("tr", {}, ...names.map(name => make("th", { scope: "col", textContent: name })));
      const rows = times.map((time, at) => {
        const cells = [control[at], experiment[at]].map(value => make("td", { textContent: value == null ? "–" : String(value) }));
        if (by) cells.unshift(make("td", { textContent: told(time - by) }));
        return make("tr", {}, make("th", { scope: "row", textContent: told(time) }), ...cells);
      });
      const table = make("table", { className: "numbers values" }, make("thead", {}, head), make("tbody", {}, ...rows));
      place.replaceChildren(table);
    } catch (error) {
      place.textContent = `The table cannot be filled: ${error.message}`;
    }
  };

  const csv = data => ["control", "experiment"].flatMap(side =>
    data[side].times.map((time, at) => [side, new Date(time).toISOString(), time, data[side].values[at] ?? "NaN"].join(",")),
  );
  const save = async button => {
    const metric = button.closest("[data-metric]");
    const data = await series(metric.dataset.metric);
    const isCsv = button.dataset.save === "csv";
    const text = isCsv ? ["side,time,epoch_millis,value", ...csv(data)].join("\r\n") : JSON.stringify(data);
    const url = URL.createObjectURL(new Blob([text], { type: isCsv ? "text/csv" : "application/json" }));
    make("a", { href: url, download: `${data.name.replace(/[^\w.-]+/g, "-")}.${isCsv ? "csv" : "json"}` }).click();
    URL.revokeObjectURL(url);
  };

  document.addEventListener("toggle", event => {
    const details = event.target;
    if (details.matches(".metric")) tellOpened();
    if (!details.open) return;
    const figure = details.matches(".metric") && $("[data-chart]", details);
    if (figure && !charts.has(figure) && window.uPlot) drawChart(figure);
    if (details.matches("[data-table]") && window.uPlot) fillTable(details);
  }, true);
  document.addEventListener("click", event => {
    const button = event.target.closest?.("[data-save]");
    if (button) save(button).catch(() => {});
  });
  // j and k go from metric to metric, as in many lists.
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const step = { j: 1, k: -1 }[event.key];
    const summaries = step ? all(".metric:not([hidden]) > summary") : [];
    if (!summaries.length) return;
    const at = summaries.indexOf(document.activeElement.closest(".metric")?.firstElementChild);
    const next = summaries[Math.min(Math.max(at + step, 0), summaries.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  });

  // Metrics by a part of their names and labels, and those that did not pass.
  const narrow = () => {
    const part = $("#narrow").value.trim().toLowerCase();
    const metrics = all(".metric");
    for (const metric of metrics) {
      const names = [metric.dataset.name, ...all(":is(.tag, .group)", metric.firstElementChild).map(one => one.textContent)];
      const has = names.some(name => name.toLowerCase().includes(part));
      metric.hidden = !has || $("#no-passes").checked && metric.matches(".pass");
    }
    const left = metrics.filter(metric => !metric.hidden).length;
    $("#narrowed").textContent = left === metrics.length ? "" : `${left} of ${metrics.length}`;
  };
  document.addEventListener("input", event => {
    if (event.target.matches("#narrow, #no-passes")) narrow();
  });

  // The address leads to the metric that was opened last.
  const tellOpened = () => {
    const opened = all(".metric[open]");
    const last = opened.includes(document.activeElement?.closest(".metric")) ? document.activeElement.closest(".metric") : opened.at(-1);
    const at = last ? `#${last.id}` : "";
    if (at !== location.hash) try { history.replaceState(null, "", location.pathname + location.search + at); } catch { /* A file has no address to change. */ }
  };

  const openTarget = () => {
    const metric = location.hash.startsWith("#metric-") && document.getElementById(location.hash.slice(1));
    if (metric) {
      metric.hidden = false;
      metric.open = true;
      metric.scrollIntoView();
    }
  };
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => charts.forEach((chart, figure) => chart.setSize({ width: figure.clientWidth, height: 220 })), 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => [...charts.keys()].forEach(drawChart));
  addEventListener("hashchange", openTarget);

  const choice = $(".zone");
  const tellZone = () => { if (choice) choice.textContent = `Times: ${zone()}`; };
  choice?.addEventListener("click", () => {
    isLocal = !isLocal;
    keep("serin.zone", zone());
    tellZone();
    tellTimes(document);
    [...charts.keys()].forEach(drawChart);
    for (const table of all("[data-table]")) {
      $(".scroll table", table)?.remove();
      if (table.open) fillTable(table);
    }
    document.dispatchEvent(new CustomEvent("zone", { detail: { isLocal } }));
  });
  tellZone();
  setInterval(tellElapsed, 1000);
  tellTimes(document);
  watch();
  poll();
  openTarget();
})();

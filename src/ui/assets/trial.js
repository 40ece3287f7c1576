// The form of a trial: times at one click, and scopes as the source knows them.
import { offersOf } from "./offers.js";

const MINUTE = 60_000;
const presets = document.querySelector(".presets");

const isLocal = () => {
  try { return localStorage.getItem("serin.zone") === "local"; } catch { return false; }
};

// In UTC, or as the reader's clock has it with its zone.
const written = millis => {
  if (!isLocal()) return new Date(millis).toISOString().replace(".000", "");
  const ahead = -new Date(millis).getTimezoneOffset();
  const text = new Date(millis + ahead * MINUTE).toISOString().slice(0, 19);
  const two = number => String(Math.floor(number)).padStart(2, "0");
  return `${text}${ahead < 0 ? "-" : "+"}${two(Math.abs(ahead) / 60)}:${two(Math.abs(ahead) % 60)}`;
};

const fill = (name, millis) => {
  for (const field of document.querySelectorAll(`.trial input[name$=".${name}"]`)) field.value = written(millis);
};

presets.hidden = false;
presets.addEventListener("click", ({ target }) => {
  const minutes = Number(target.dataset.minutes);
  if (!minutes) return;
  const end = Math.floor(Date.now() / MINUTE) * MINUTE;
  fill("start", end - minutes * MINUTE);
  fill("end", end);
});

// What was chosen for all times holds for those that are filled in.
document.addEventListener("zone", () => {
  for (const field of document.querySelectorAll('.trial input:is([name$=".start"], [name$=".end"])')) {
    const millis = Date.parse(field.value);
    if (!isNaN(millis) && /(Z|[+-]\d\d:\d\d)$/.test(field.value)) field.value = written(millis);
  }
});

// The scopes that there are: the first at a click, all of them as one types.
const account = document.querySelector("#metricsAccountName");
const scopes = [...document.querySelectorAll("datalist[data-label]")].map(list => {
  const fields = [...document.querySelectorAll(`input[list="${CSS.escape(list.id)}"]`)];
  const offers = fields.map(field => {
    const [side] = field.getAttribute("aria-label").split(",");
    const offers = offersOf(field, `${side}: what the source has`);
    field.after(offers.element);
    return offers;
  });
  return { list, offers };
});

async function offer({ list, offers }) {
  if (!account.value) return;
  const asked = new URLSearchParams({ account: account.value, metric: list.dataset.metric, label: list.dataset.label });
  const answer = await fetch(`/ui/configs/labels?${asked}`, { headers: { Accept: "application/json" } });
  const values = answer.ok ? await answer.json() : [];
  // Who chose another account meanwhile waits for its answer.
  if (asked.get("account") !== account.value) return;
  list.replaceChildren(...values.map(value => Object.assign(document.createElement("option"), { value })));
  for (const one of offers) one.values = values;
}
const offerAll = () => scopes.forEach(scope => offer(scope).catch(() => {}));
account.addEventListener("change", offerAll);
offerAll();

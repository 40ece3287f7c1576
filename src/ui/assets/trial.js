// The form of a trial: times at one click, and scopes as the source knows them.
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

// Asked for once, when a scope is about to be written.
const offer = async list => {
  const account = document.querySelector("#metricsAccountName").value;
  const asked = new URLSearchParams({ account, metric: list.dataset.metric, label: list.dataset.label });
  const answer = await fetch(`/ui/configs/labels?${asked}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const values = await answer.json();
  list.replaceChildren(...values.map(value => Object.assign(document.createElement("option"), { value })));
};
document.addEventListener("focusin", ({ target }) => {
  const list = target.list;
  if (!list?.dataset.label || list.dataset.asked) return;
  list.dataset.asked = "yes";
  offer(list).catch(() => {});
});

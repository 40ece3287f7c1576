// The form of a trial: times at one click.
const MINUTE = 60_000;
const presets = document.querySelector(".presets");

const fill = (name, millis) => {
  const text = new Date(millis).toISOString().replace(".000", "");
  for (const field of document.querySelectorAll(`.trial input[name$=".${name}"]`)) field.value = text;
};

presets.hidden = false;
presets.addEventListener("click", ({ target }) => {
  const minutes = Number(target.dataset.minutes);
  if (!minutes) return;
  const end = Math.floor(Date.now() / MINUTE) * MINUTE;
  fill("start", end - minutes * MINUTE);
  fill("end", end);
});

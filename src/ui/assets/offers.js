// What a source has for a field, as buttons below it: one that is pressed is written into the field.
const MOST = 8;

function element(name, more = {}, ...inner) {
  const made = Object.assign(document.createElement(name), more);
  made.append(...inner);
  return made;
}

/// Those that hold what is typed; all, where what is typed is one of them, or none is like it.
function like(values, typed) {
  const part = typed.toLowerCase();
  const found = values.filter((value) => value.toLowerCase().includes(part));
  return found.length && !values.includes(typed) ? found : values;
}

/// A group to put below `field`; `name` tells who hears it what is offered.
export function offersOf(field, name) {
  const group = element("span", { className: "offers", hidden: true });
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", name);
  let values = [];
  let shown = "";
  const write = (value) => {
    field.value = value;
    // The button may be gone in a moment, and the field is where one goes on.
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const button = (value) => element("button", { type: "button", className: "offer", onclick: () => write(value) }, value);
  function show() {
    const typed = field.value.trim();
    const found = like(values, typed);
    const own = JSON.stringify(found);
    if (own !== shown) {
      shown = own;
      const more = found.length - MOST;
      const rest = more > 0 ? [element("span", { className: "quiet" }, `and ${more} more`)] : [];
      group.replaceChildren(...found.slice(0, MOST).map(button), ...rest);
      group.hidden = !found.length;
    }
    for (const one of group.querySelectorAll("button")) one.setAttribute("aria-pressed", String(one.textContent === typed));
  }
  field.addEventListener("input", show);
  return {
    element: group,
    show,
    /// The likeliest first.
    set values(all) {
      values = all;
      show();
    },
  };
}

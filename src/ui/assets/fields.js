// Fields that show a member of the document that is being edited, and write it.
import { applyEdits, modify, parseTree } from "./vendor/codemirror.js";

const FORMAT = { formattingOptions: { insertSpaces: true, tabSize: 2, eol: "\n" } };

/// An element with its attributes, properties and listeners, and what is in it.
export function h(name, given = {}, ...inner) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inner.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

export const at = (value, path) => path.reduce((inner, step) => inner?.[step], value);

/// The document in the text of an editor, changed where a member is, so that the rest stays as it was written.
export class Document {
  #editor;
  #fields = new Set();
  #last = 0;

  constructor(editor) {
    this.#editor = editor;
    this.read();
  }

  /// Whether the text is an object in JSON.
  read() {
    try {
      this.value = JSON.parse(this.#editor.text);
    } catch {
      this.value = null;
    }
    if (this.value === null || typeof this.value !== "object" || Array.isArray(this.value)) this.value = null;
    return this.value !== null;
  }

  at(path) { return at(this.value, path); }

  set(path, value) {
    if (JSON.stringify(this.at(path)) === JSON.stringify(value)) return;
    const steps = [[path, value]];
    // What holds nothing any more goes with what it held.
    for (let end = path.length - 1; value === undefined && OPTIONAL.has(path[end - 1]); end--) {
      const holder = this.at(path.slice(0, end));
      if (!holder || Object.keys(holder).length !== 1) break;
      steps[0] = [path.slice(0, end), undefined];
    }
    // What is no object cannot hold a member.
    for (let end = 1; end < path.length; end++) {
      const holder = this.at(path.slice(0, end));
      if (holder === null) steps.unshift([path.slice(0, end), typeof path[end] === "number" ? [] : {}]);
    }
    this.#apply(steps.map(([where, what]) => (text) => modify(text, where, what, FORMAT)));
  }

  insert(path, value) {
    this.#apply([(text) => modify(text, path, value, { ...FORMAT, isArrayInsertion: true })]);
  }

  remove(path) { this.set(path, undefined); }

  #listAt(path) {
    return path.reduce(
      (node, step) => node.children.find(({ children: [key] }) => key.value === step).children[1],
      parseTree(this.#editor.text),
    );
  }

  /// Where an element of a list begins in the text.
  placeOf(path, index) { return this.#listAt(path).children[index].offset; }

  /// Two elements of a list, each as it is written.
  swap(path, one, two) {
    const list = this.#listAt(path);
    const [a, b] = [list.children[one], list.children[two]];
    const text = ({ offset, length }) => this.#editor.text.slice(offset, offset + length);
    this.#editor.edit([
      { offset: a.offset, length: a.length, content: text(b) },
      { offset: b.offset, length: b.length, content: text(a) },
    ]);
  }

  #apply(steps) {
    const [first, ...more] = steps;
    if (!more.length) {
      this.#editor.edit(first(this.#editor.text));
      return;
    }
    this.#editor.text = steps.reduce((text, step) => applyEdits(text, step(text)), this.#editor.text);
  }

  /// Shows what the document holds by now, but not in the field in which somebody writes.
  refresh() {
    for (const field of this.#fields) {
      if (!field.element.isConnected) this.#fields.delete(field);
      else if (!field.element.contains(document.activeElement)) field.show();
    }
  }

  bind(element, show) {
    this.#fields.add({ element, show });
    show();
    return element;
  }

  id() { return `field-${++this.#last}`; }
}

/// Objects that stand there for their members only.
const OPTIONAL = new Set(["effectSize", "outliers"]);

/// A label with its field, and a sentence below.
function labelled(document, label, field, says) {
  field.id = document.id();
  if (!says) return h("p", {}, h("label", { htmlFor: field.id }, label), field);
  const told = h("span", { className: "says", id: `${field.id}-says` }, says);
  field.setAttribute("aria-describedby", told.id);
  return h("p", {}, h("label", { htmlFor: field.id }, label), field, told);
}

export function textField(document, label, path, { says, list, read = String, write = (text) => text || undefined, then } = {}) {
  const field = h("input", { autocomplete: "off", spellcheck: false, list });
  field.addEventListener("input", () => {
    let value;
    try {
      value = write(field.value.trim());
    } catch {
      field.setAttribute("aria-invalid", "true");
      return;
    }
    field.removeAttribute("aria-invalid");
    const before = document.at(path);
    document.set(path, value);
    then?.(value, before);
  });
  document.bind(field, () => {
    const value = document.at(path);
    field.value = value === undefined || value === null ? "" : read(value);
    field.removeAttribute("aria-invalid");
  });
  return labelled(document, label, field, says);
}

/// Texts with commas between them.
export const textsField = (document, label, path, more = {}) => textField(document, label, path, {
  ...more,
  read: (value) => (Array.isArray(value) ? value.join(", ") : JSON.stringify(value)),
  write: (text) => text.split(",").map((one) => one.trim()).filter(Boolean),
});

export const numberField = (document, label, path, more = {}) => textField(document, label, path, {
  ...more,
  read: (value) => (typeof value === "object" ? JSON.stringify(value) : String(value)),
  write: (text) => {
    if (text === "") return undefined;
    const number = Number(text.replace(",", "."));
    if (!Number.isFinite(number)) throw new Error(text);
    return number;
  },
});

/// What is neither a text nor a number.
export const jsonField = (document, label, path, more = {}) => textField(document, label, path, {
  ...more,
  read: (value) => JSON.stringify(value),
  write: (text) => (text === "" ? undefined : JSON.parse(text)),
});

/// `choices` are values with what they mean; one that is none of them stays and is shown as it is.
export function choiceField(document, label, path, choices, { says, onChange } = {}) {
  const field = h("select");
  const fill = (value) => {
    const known = choices().map(([one]) => one);
    const odd = value === "" || known.includes(value) ? [] : [[value, value]];
    field.replaceChildren(...[...choices(), ...odd].map(([one, meaning]) => h("option", { value: one }, meaning)));
    field.value = value;
  };
  field.addEventListener("change", () => {
    document.set(path, field.value === "" ? undefined : field.value);
    onChange?.();
  });
  document.bind(field, () => {
    const value = document.at(path);
    fill(value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));
  });
  return labelled(document, label, field, says);
}

export function flagField(document, label, path) {
  const field = h("input", { type: "checkbox" });
  field.addEventListener("change", () => document.set(path, field.checked ? true : undefined));
  document.bind(field, () => { field.checked = [true, "true"].includes(document.at(path)); });
  return h("label", { className: "flag-field" }, field, ` ${label}`);
}

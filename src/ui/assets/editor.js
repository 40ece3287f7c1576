// Texts in CodeMirror: that of a canary config, in place of the plain text field, and single queries.
import * as cm from "./vendor/codemirror.js";

const INDENT = "  ";
const { tags } = cm;

const COLOURS = cm.HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.labelName], color: "var(--link)" },
  { tag: tags.string, color: "var(--pass)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--experiment)" },
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword, tags.function(tags.variableName)], color: "var(--unsure)" },
  { tag: tags.comment, color: "var(--quiet)" },
  { tag: tags.invalid, color: "var(--fail)" },
]);

const LOOK = cm.EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--panel)", fontSize: "12.5px", flex: "1", minWidth: "0" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "18px" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground":
    { background: "color-mix(in srgb, var(--link) 25%, transparent)" },
  ".cm-gutters": { backgroundColor: "var(--sunk)", color: "var(--quiet)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--link) 7%, transparent)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--none-soft)", outline: "1px solid var(--line)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--sunk)", color: "var(--quiet)", borderColor: "var(--line)" },
  ".cm-panels, .cm-tooltip": { color: "var(--ink)", backgroundColor: "var(--panel)", borderColor: "var(--line)" },
  ".cm-panels .cm-textfield, .cm-panels .cm-button": { color: "var(--ink)", background: "var(--panel)", border: "1px solid var(--line)", borderRadius: "4px" },
  ".cm-searchMatch": { backgroundColor: "var(--marginal-soft)", outline: "1px solid var(--marginal)" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", maxWidth: "60ch", overflowWrap: "anywhere" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { color: "var(--page)", backgroundColor: "var(--link)" },
  ".cm-completionDetail": { color: "inherit" },
  ".cm-completionInfo": { backgroundColor: "var(--panel)" },
});

// Escape, then Tab leaves at any later time, as long as nothing else is typed.
const LEAVING = cm.Prec.highest(cm.EditorView.domEventHandlers({
  keyup: (event, view) => { if (event.key === "Escape") view.setTabFocusMode(24 * 3600 * 1000); },
}));

// Chromium would replace a selection itself, and give what is left styles that the policy of the pages refuses.
const REPLACING = cm.EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to } = view.state.selection.main;
    if (from === to || event.inputType !== "insertText" || event.data === null) return false;
    event.preventDefault();
    const typed = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    const handlers = view.state.facet(cm.EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, from, to, event.data, typed))) view.dispatch(typed());
    return true;
  },
});

const TAB = {
  key: "Tab",
  run(view) {
    if (view.state.selection.ranges.some((range) => !range.empty)) return cm.indentMore(view);
    view.dispatch(view.state.replaceSelection(INDENT), { userEvent: "input", scrollIntoView: true });
    return true;
  },
};

const COMMON = [
  cm.history(), cm.drawSelection(), cm.bracketMatching(), cm.closeBrackets(), cm.EditorView.lineWrapping,
  cm.syntaxHighlighting(COLOURS), LOOK, LEAVING, REPLACING,
  cm.keymap.of([...cm.closeBracketsKeymap, ...cm.completionKeymap, ...cm.historyKeymap, ...cm.defaultKeymap]),
];

export const isYaml = (text) => !/^\s*($|[{["])/.test(text);

/// The editor in place of a text field that a form sends.
export function editorOf(area, { onChange, onSelect }) {
  const [language, attributes] = [new cm.Compartment(), new cm.Compartment()];
  const label = document.querySelector(`label[for="${area.id}"]`);
  label.id ||= `${area.id}-label`;
  const told = (isInvalid) => cm.EditorView.contentAttributes.of({
    "aria-labelledby": label.id,
    "aria-describedby": area.getAttribute("aria-describedby"),
    "aria-invalid": String(isInvalid),
    autocapitalize: "off",
    tabindex: "0",
  });
  const languageOf = (text) => (isYaml(text) ? cm.yaml() : cm.json());
  let wasYaml = isYaml(area.value);
  const view = new cm.EditorView({
    doc: area.value,
    extensions: [
      cm.lintGutter(), cm.lineNumbers(), cm.foldGutter(), cm.highlightActiveLine(), cm.highlightActiveLineGutter(),
      cm.indentOnInput(), cm.indentUnit.of(INDENT), cm.search({ top: true }),
      cm.keymap.of([TAB, ...cm.searchKeymap, ...cm.foldKeymap, ...cm.lintKeymap]),
      language.of(languageOf(area.value)), attributes.of(told(false)), COMMON,
      cm.EditorView.updateListener.of((update) => {
        if (update.docChanged) {
          area.value = update.state.doc.toString();
          if (isYaml(area.value) !== wasYaml) {
            wasYaml = !wasYaml;
            queueMicrotask(() => view.dispatch({ effects: language.reconfigure(languageOf(area.value)) }));
          }
          onChange();
        }
        if (update.docChanged || update.selectionSet || update.focusChanged) onSelect();
      }),
    ],
  });
  area.hidden = true;
  area.before(view.dom);
  label.addEventListener("click", () => view.focus());
  let isInvalid = false;
  const place = ({ line, column }) => {
    const { from, to } = view.state.doc.line(Math.min(line, view.state.doc.lines));
    return Math.min(from + (column ?? 1) - 1, to);
  };
  return {
    view,
    get text() { return area.value; },
    /// The whole text, as one step that can be undone.
    set text(text) { view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, userEvent: "input" }); },
    undo() { cm.undo(view); },
    get cursor() { return view.state.selection.main.head; },
    /// Edits as jsonc-parser gives them, all of the same text.
    edit(edits) {
      const changes = edits.map(({ offset, length, content }) => ({ from: offset, to: offset + length, insert: content }));
      view.dispatch({ changes, userEvent: "input" });
    },
    insert(at, what, cursor) {
      view.dispatch({ changes: { from: at, insert: what }, selection: { anchor: cursor }, scrollIntoView: true, userEvent: "input" });
      view.focus();
    },
    show(at) {
      view.dispatch({ selection: { anchor: at }, effects: cm.EditorView.scrollIntoView(at, { y: "center" }) });
    },
    go(finding) {
      this.show(place(finding));
      view.focus();
    },
    mark(findings) {
      const marks = findings.filter(({ line }) => line && line <= view.state.doc.lines).map((finding) => {
        const from = place(finding);
        const { text, from: start, to } = view.state.doc.lineAt(from);
        const rest = text.slice(from - start).replace(/[\s,]+$/, "").length;
        const severity = finding.severity === "note" ? "info" : finding.severity;
        return { from, to: Math.min(from + rest, to), severity, message: finding.message };
      });
      view.dispatch(cm.setDiagnostics(view.state, marks));
    },
    set isInvalid(value) {
      if (isInvalid === value) return;
      isInvalid = value;
      view.dispatch({ effects: attributes.reconfigure(told(value)) });
    },
  };
}

/// A field for one query; `client` tells a PromQL query the names that there are.
export function queryField({ text, label, describedBy, client, onChange }) {
  const promql = client && new cm.PromQLExtension().activateLinter(false).setComplete({ remote: client });
  const view = new cm.EditorView({
    doc: text,
    extensions: [
      promql ? promql.asExtension() : [], COMMON, cm.autocompletion(),
      cm.EditorView.contentAttributes.of({ "aria-label": label, "aria-describedby": describedBy, autocapitalize: "off", tabindex: "0" }),
      cm.EditorView.updateListener.of((update) => { if (update.docChanged && !isSet) onChange(view.state.doc.toString()); }),
    ],
  });
  let isSet = false;
  return {
    view,
    set text(text) {
      if (text === view.state.doc.toString()) return;
      isSet = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      isSet = false;
    },
  };
}

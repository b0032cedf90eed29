// The left side: category tree, facets, ranges.

import { byId, count, el, fill, label } from "./dom.js";
import { bounded, toggled, write } from "./state.js";

const SHOWN = 8;
const unfolded = new Set();

export function showTree(tree, state) {
  const chosen = state.category.split(" > ");
  const link = (node, here) =>
    el("a", {
      href: write({ ...state, category: node.path.join(" > "), q: "", page: 1, choices: {}, ranges: {} }),
      "data-link": true,
      "aria-current": here ? "page" : null,
    }, el("span", {}, node.name), el("small", {}, count(node.count)));
  const on = (node) => node.path.every((name, position) => chosen[position] === name);
  const branch = (nodes) => {
    const full = nodes.filter((node) => node.count > 0);
    // Above the chosen category only the way to it is shown: the filters below should stay in sight.
    const way = full.filter((node) => on(node) && node.path.length < chosen.length && node.children.some((child) => child.count));
    return el("ul", {}, (way.length ? way : full).map((node) => {
      const item = el("li", {}, link(node, on(node) && node.path.length === chosen.length));
      if (on(node) && node.children.some((child) => child.count > 0)) item.append(branch(node.children));
      return item;
    }));
  };
  const all = state.category && el("ul", {}, el("li", {}, el("a", { href: "/", "data-link": true, class: "up" }, "‹ All categories")));
  fill(byId("categories"), all || null, tree.categories.length ? branch(tree.categories) : el("p", { class: "quiet" }, "There are none."));
}

export function showFacets(about, found, state, go) {
  const open = document.activeElement?.dataset?.key;
  fill(
    byId("facets"),
    about.ranges.map((range) => rangeBox(range, state, go)),
    Object.entries(found).map(([name, values]) => facetBox(name, values, state, go)),
  );
  // The boxes are new; whoever works by keyboard goes on from where they were.
  if (open) byId("facets").querySelector(`[data-key="${CSS.escape(open)}"]`)?.focus();
}

function facetBox(name, values, state, go) {
  const chosen = state.choices[name] ?? [];
  const missing = chosen.filter((value) => !values.some((entry) => String(entry.value) === value));
  const entries = [...values, ...missing.map((value) => ({ value, count: 0 }))];
  if (!entries.length) return null;
  const all = unfolded.has(name) || entries.length <= SHOWN + 1;
  const rows = entries.filter((entry, position) => all || position < SHOWN || chosen.includes(String(entry.value)));
  const box = el("fieldset", { class: "facet" }, el("legend", {}, label(name)), rows.map((entry) => {
    const value = String(entry.value);
    const input = el("input", {
      type: "checkbox",
      value,
      "data-key": `${name}=${value}`,
      onchange: () => go(toggled(state, name, value)),
    });
    input.checked = chosen.includes(value);
    return el("label", { class: "choice" }, input, el("span", {}, value), el("small", {}, count(entry.count)));
  }));
  if (!all) {
    box.append(el("button", {
      type: "button",
      class: "more",
      "data-key": `${name}+`,
      onclick: () => {
        unfolded.add(name);
        box.replaceWith(facetBox(name, values, state, go));
        byId("facets").querySelector(`[data-key="${CSS.escape(`${name}=${values[SHOWN].value}`)}"]`)?.focus();
      },
    }, `Show all ${entries.length}`, el("span", { class: "hidden" }, ` of ${label(name)}`)));
  }
  return box;
}

function rangeBox(range, state, go) {
  const chosen = state.ranges[range.name] ?? {};
  const end = (side, words, placeholder) =>
    el("label", {}, words, el("input", {
      type: "number",
      inputmode: "decimal",
      step: "any",
      placeholder,
      value: chosen[side] ?? "",
      "data-key": `${range.name}.${side}`,
      onchange: (event) => go(bounded(state, range.name, side, event.target.validity.valid ? event.target.value : "")),
    }));
  return el("fieldset", { class: "facet range" }, el("legend", {}, label(range.name)), el("div", { class: "ends" },
    end("min", "From", Math.floor(range.min)),
    end("max", "To", Math.ceil(range.max)),
  ));
}

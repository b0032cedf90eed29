// The page: reads its address, asks the server, shows the answer.

import { Failure, get, keepKey } from "./api.js";
import { byId, count, el, fill, label, plural } from "./dom.js";
import { compared, grid, productImage } from "./products.js";
import { showFacets, showTree } from "./side.js";
import { MODES, asked, bounded, filtered, read, request, toggled, write } from "./state.js";

const SKELETON_MS = 150;
const WINDOWS = 8;
const FACETS = 12;
const ALSO = 12;
const modeName = (mode) => MODES.find(([name]) => name === mode)[1];

let about = null;
let tree = null;
let running = null;
let state = read();

function go(next, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", write(next));
  return show();
}

async function show({ focus = false } = {}) {
  state = read();
  running?.abort();
  const turn = (running = new AbortController());
  byId("q").value = state.q;
  const results = byId("results");
  results.setAttribute("aria-busy", "true");
  const patience = setTimeout(() => turn === running && skeleton(), SKELETON_MS);
  try {
    about ??= await get("/v1/index");
    tree ??= await get("/v1/categories");
    if (turn !== running) return;
    frame();
    await (asked(state) ? (state.versus ? showCompared(turn) : showFound(turn)) : showWindows(turn));
  } catch (error) {
    if (error.name === "AbortError" || turn !== running) return;
    failed(error);
  } finally {
    clearTimeout(patience);
    if (turn === running) results.setAttribute("aria-busy", "false");
  }
  if (focus && turn === running) {
    results.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}

function frame() {
  byId("brand").textContent = label(about.alias);
  byId("about").textContent = `${plural(about.products, "product", "products")} · ${about.index}`;
  showTree(tree, state);
  byId("bar").hidden = !asked(state);
  const radio = ([name, words]) => {
    const input = el("input", { type: "radio", name: "mode", value: name, onchange: () => go({ ...state, mode: name, page: 1 }) });
    input.checked = state.mode === name;
    input.disabled = name !== "lexical" && !about.free_text && !state.category;
    return el("label", {}, input, el("span", {}, words));
  };
  const versus = el("input", {
    type: "checkbox",
    id: "compare",
    onchange: (event) => go({ ...state, versus: event.target.checked ? other(state.mode) : "", page: 1 }),
  });
  versus.checked = Boolean(state.versus);
  const held = document.activeElement?.closest("#modes") ? document.activeElement : null;
  fill(byId("modes"), el("legend", { class: "hidden" }, "How to rank"), MODES.map(radio), el("label", { class: "compare" }, versus, el("span", {}, "Compare")));
  if (state.versus) byId("modes").append(rival());
  if (held) byId("modes").querySelector(held.id ? `#${held.id}` : `[value="${held.value}"]`)?.focus();
  sorts();
  chips();
}

const other = (mode) => (mode === "lexical" ? "hybrid" : "lexical");

function rival() {
  const choose = el("select", { id: "rival", onchange: (event) => go({ ...state, versus: event.target.value, page: 1 }) },
    MODES.filter(([name]) => name !== state.mode).map(([name, words]) => el("option", { value: name }, words)));
  choose.value = state.versus;
  return el("label", { class: "rival" }, "with ", choose);
}

function sorts() {
  const select = byId("sort");
  fill(select, el("option", { value: "" }, "Relevance"), about.sorts.flatMap((name) => [
    el("option", { value: name }, `${label(name)}, low to high`),
    el("option", { value: `-${name}` }, `${label(name)}, high to low`),
  ]));
  select.value = state.sort;
  select.disabled = Boolean(state.versus);
  select.onchange = () => go({ ...state, sort: select.value, page: 1 });
}

// `understood` are the parts of the query that the server read as values of fields or as ranges.
function chips(understood = []) {
  const chip = (words, next) => el("button", { type: "button", onclick: () => go(next) },
    words, el("span", { "aria-hidden": "true" }, " ×"), el("span", { class: "hidden" }, " – remove"));
  const chosen = Object.entries(state.choices).flatMap(([field, values]) =>
    values.map((value) => chip(`${label(field)}: ${value}`, toggled(state, field, value))));
  const ranges = Object.entries(state.ranges).flatMap(([field, range]) => Object.entries(range).map(([end, value]) =>
    chip(`${label(field)} ${end === "min" ? "from" : "to"} ${value}`, bounded(state, field, end, ""))));
  const clear = el("button", { type: "button", class: "clear", onclick: () => go({ ...state, choices: {}, ranges: {}, page: 1 }) }, "Clear all");
  const read = understood.map((part) =>
    chip(`${label(part.field)}: ${part.value}`, { ...state, keep: [...state.keep, part.text], page: 1 }));
  fill(byId("chips"), [...read, ...(asked(state) && filtered(state) ? [...chosen, ...ranges, clear] : [])]);
}

function heading() {
  const words = state.category ? state.category.split(" > ").at(-1) : state.q;
  byId("title").textContent = words.length > 120 ? `${words.slice(0, 120)}…` : words;
  document.title = `${byId("title").textContent} – ${label(about.alias)}`;
}

const facets = () => about.facets.slice(0, FACETS).map((entry) => entry.name);

async function showFound(turn) {
  const parameters = request(state, about, state.mode, { facets: facets() });
  if (state.category && state.page === 1) parameters.push(["also", ALSO]);
  const found = await get("/v1/search", parameters, turn.signal);
  if (turn !== running) return;
  heading();
  chips(found.understood);
  showFacets(about, found.facets, state, go);
  const first = (found.page - 1) * found.size + 1;
  const last = first + found.hits.length - 1;
  const where = found.hits.length ? `${count(first)}–${count(last)} of ` : "";
  byId("status").textContent = `${where}${plural(found.total, "product", "products")} · ${modeName(found.mode)} · ${found.took_ms} ms${found.remarks.map((warning) => ` · ${warning}`).join("")}`;
  fill(byId("content"), found.hits.length ? grid(found) : nothing(found), elsewhere(found));
  pages(found);
}

async function showCompared(turn) {
  const both = [state.versus, state.mode].sort((one) => (one === "lexical" ? -1 : 0));
  const found = await Promise.all(both.map((mode, position) =>
    get("/v1/search", request(state, about, mode, position ? { facets: facets() } : {}), turn.signal)));
  if (turn !== running) return;
  heading();
  chips(found[1].understood);
  showFacets(about, found[1].facets, state, go);
  const names = both.map(modeName);
  byId("status").textContent = `${names.join(" and ")} side by side, page ${state.page}`;
  fill(byId("content"), compared(found[0], found[1], ...names));
  pages(found[1].total > found[0].total ? found[1] : found[0]);
}

async function showWindows(turn) {
  document.title = label(about.alias);
  byId("title").textContent = "Look around";
  fill(byId("facets"));
  fill(byId("pages"));
  byId("status").textContent = "";
  const roots = tree.categories.filter((node) => node.count).sort((one, two) => two.count - one.count).slice(0, WINDOWS);
  const parameters = (node) => [["category", node.path.join(" > ")], ["size", 4], ["thumbnails", "true"]];
  const found = await Promise.all(roots.map((node) => get("/v1/search", parameters(node), turn.signal)));
  if (turn !== running) return;
  fill(byId("content"),
    el("p", { class: "quiet" }, "Search above, or start with one of these."),
    el("ul", { class: "windows" }, roots.map((node, position) => el("li", {}, el("a", {
      href: write({ ...state, category: node.path.join(" > ") }), "data-link": true,
    }, el("span", { class: "mosaic", "aria-hidden": "true" }, found[position].hits.map(productImage)),
    el("strong", {}, node.name), el("small", {}, plural(node.count, "product", "products")))))));
}

function pages(found) {
  const reachable = Math.min(Math.ceil(found.total / found.size), Math.floor(10_000 / found.size));
  const numbers = [1, state.page - 2, state.page - 1, state.page, state.page + 1, state.page + 2, reachable]
    .filter((number, position, all) => number >= 1 && number <= reachable && all.indexOf(number) === position)
    .sort((one, two) => one - two);
  const link = (number, words, spoken) => el("a", {
    href: write({ ...state, page: number }), "data-link": "focus", "aria-label": spoken,
    "aria-current": number === state.page && words === String(number) ? "page" : null,
  }, words);
  fill(byId("pages"), reachable < 2 ? [] : [
    state.page > 1 ? link(state.page - 1, "‹ Previous", "Previous page") : null,
    ...numbers.flatMap((number, position) => [
      position && number - numbers[position - 1] > 1 ? el("span", { "aria-hidden": "true" }, "…") : null,
      link(number, String(number), `Page ${number}`),
    ]),
    state.page < reachable ? link(state.page + 1, "Next ›", "Next page") : null,
  ]);
}

function nothing(found) {
  const clear = () => go({ ...state, choices: {}, ranges: {}, page: 1 });
  return el("div", { class: "empty" },
    el("h2", {}, found.total ? "This page lies beyond the last." : "Nothing found."),
    el("p", {}, found.total ? "Go back to the first page." : "Try other words, another ranking, or fewer filters."),
    found.total ? null : nearest(found),
    found.total ? el("button", { type: "button", onclick: () => go({ ...state, page: 1 }) }, "First page") : null,
    filtered(state) ? el("button", { type: "button", onclick: clear }, "Clear all filters") : null);
}

function elsewhere(found) {
  if (!found.also_total) return null;
  return el("section", { class: "also", "aria-label": "Also fits" },
    el("h2", {}, "Also fits ", el("small", {}, `${plural(found.also_total, "product", "products")} from elsewhere`)),
    grid({ ...found, hits: found.also, page: 1 }));
}

function nearest(found) {
  if (!found.nearest?.length) return null;
  return el("p", {}, "The nearest categories: ", found.nearest.flatMap((path, position) => [
    position ? ", " : "",
    el("a", { href: write({ ...state, q: "", category: path.join(" > "), page: 1 }), "data-link": true }, path.at(-1)),
  ]));
}

function skeleton() {
  byId("status").textContent = "Loading …";
  fill(byId("content"), el("div", { class: "grid", "aria-hidden": "true" },
    Array.from({ length: 12 }, () => el("div", { class: "card ghost" }, el("div", { class: "tile" }), el("div", { class: "words" })))));
}

function failed(error) {
  if (!(error instanceof Failure)) throw error;
  fill(byId("pages"));
  byId("status").textContent = "";
  if (asked(state)) byId("title").textContent = state.category || state.q;
  const again = el("button", { type: "button", onclick: () => show() }, "Try again");
  fill(byId("content"), el("div", { class: "empty", role: "alert" },
    el("h2", {}, error.status === 401 ? "This shop asks for a key." : error.message),
    error.hint && error.status !== 401 ? el("p", {}, error.hint) : null,
    error.status === 401 ? keyForm() : again));
}

function keyForm() {
  const input = el("input", { type: "password", id: "key", autocomplete: "off", required: true });
  return el("form", {
    class: "key",
    onsubmit: (event) => {
      event.preventDefault();
      keepKey(input.value);
      show();
    },
  }, el("label", { for: "key" }, "API key"), input, el("button", { type: "submit" }, "Open"));
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const q = byId("q").value.trim();
  if (q) go({ ...state, q, category: "", page: 1, choices: {}, ranges: {}, keep: [] });
  else byId("q").focus();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-link]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  show({ focus: true });
});
// The skip link changes the address too, but nothing that is shown.
window.addEventListener("popstate", () => write(read()) !== write(state) && show());
// On a narrow screen the filters start folded, so that the products are seen first.
const narrow = window.matchMedia("(max-width: 800px)");
const fold = () => byId("drawer").toggleAttribute("open", !narrow.matches);
narrow.addEventListener("change", fold);
fold();
show();

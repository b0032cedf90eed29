// Product cards, what each score is made of, and two rankings side by side.

import { amount, count, el } from "./dom.js";

// Base64 of a JPEG, as ingest writes it; the index may hold other things.
const JPEG = /^\/9j\/[A-Za-z0-9+/]+={0,2}$/;
let number = 0;

export function productImage(hit) {
  const address = source(hit);
  if (!address) return el("div", { class: "tile none" }, el("span", {}, "No image"));
  const image = el("img", { src: address, alt: hit.title ?? `Product ${hit.id}`, loading: "lazy", decoding: "async" });
  const tile = el("div", { class: "tile" }, image);
  image.addEventListener("error", () => {
    tile.classList.add("none");
    tile.replaceChildren(el("span", {}, "No image"));
  });
  return tile;
}

function source(hit) {
  if (hit.thumbnail && JPEG.test(hit.thumbnail)) return `data:image/jpeg;base64,${hit.thumbnail}`;
  return hit.image && /^https?:\/\//i.test(hit.image) ? hit.image : null;
}

export function grid(found) {
  return el("ol", { class: "grid", start: (found.page - 1) * found.size + 1 }, found.hits.map((hit) => card(hit, found.mode)));
}

export function card(hit, mode, mark = null, heading = "h2") {
  return el("li", { class: "card", "data-id": hit.id },
    productImage(hit),
    el("div", { class: "words" },
      mark,
      el(heading, { class: "name" }, hit.title ?? hit.id),
      el("p", { class: "where" }, hit.category_path.join(" › ")),
      el("div", { class: "deal" },
        el("span", { class: "price" }, hit.source.price === undefined || hit.source.price === null ? "" : amount(hit.source.price)),
        hit.explanation ? why(hit, mode) : null,
      ),
    ),
  );
}

function why(hit, mode) {
  const id = `why-${++number}`;
  const panel = el("div", { class: "why", id, hidden: true });
  const button = el("button", {
    type: "button",
    class: "ask",
    "aria-expanded": "false",
    "aria-controls": id,
    onclick: () => {
      const open = panel.hidden;
      if (open && !panel.childElementCount) panel.append(...reasons(hit, mode));
      panel.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
    },
  }, "Why?", el("span", { class: "hidden" }, ` ${hit.title ?? hit.id}`));
  queueMicrotask(() => button.closest(".words").append(panel));
  return button;
}

function reasons(hit, mode) {
  const told = hit.explanation;
  const sum = told.lexical + told.vector || 1;
  const bm25 = told.bm25 === null ? "none of the words" : `BM25 ${told.bm25.toFixed(2)}`;
  const near = told.cosine === null ? "not among the nearest" : `cosine ${told.cosine.toFixed(3)}`;
  const rows = [];
  if (mode !== "vector") rows.push(part("Words", told.lexical, told.lexical / sum, bm25, "by-words"));
  if (mode !== "lexical") rows.push(part("Image and meaning", told.vector, told.vector / sum, near, "by-image"));
  for (const [name, factor] of Object.entries(told.boosts)) rows.push(el("p", {}, `${name} × ${factor.toFixed(2)}`));
  rows.push(el("p", { class: "sum" }, `Score ${hit.score === null ? "–" : hit.score.toFixed(3)}`));
  return rows;
}

function part(name, value, share, detail, kind) {
  const fill = el("span", { class: `fill ${kind}` });
  fill.style.width = `${Math.round(share * 100)}%`;
  return el("div", { class: "part" },
    el("p", {}, el("b", {}, name), ` ${value.toFixed(3)}`),
    el("div", { class: "meter", "aria-hidden": "true" }, fill),
    el("p", { class: "quiet" }, detail),
  );
}

export function compared(left, right, leftName, rightName) {
  const before = new Map(left.hits.map((hit, position) => [hit.id, position]));
  const kept = new Set(right.hits.map((hit) => hit.id));
  const moves = right.hits.map((hit, position) => (before.has(hit.id) ? before.get(hit.id) - position : null));
  const same = moves.filter((move) => move === 0).length;
  const fresh = moves.filter((move) => move === null).length;
  const summary = `Of ${count(right.hits.length)} products ${count(fresh)} are new with ${rightName}, ` +
    `${count(right.hits.length - fresh - same)} moved and ${count(same)} stayed in place.`;
  const list = (found, name, mark) =>
    el("section", { "aria-label": name }, el("h2", {}, name, " ", el("small", {}, `${count(found.total)} products`)),
      found.hits.length
        ? el("ol", { class: "grid narrow" }, found.hits.map((hit, position) => card(hit, found.mode, mark(hit, position), "h3")))
        : el("p", { class: "quiet" }, "Nothing found."));
  return [
    el("p", { class: "summary" }, summary),
    el("div", { class: "versus" },
      list(left, leftName, (hit) => (kept.has(hit.id) ? null : badge("gone", `not with ${rightName}`))),
      list(right, rightName, (hit, position) => moved(moves[position])),
    ),
  ];
}

function moved(move) {
  if (move === null) return badge("new", "new");
  if (move > 0) return badge("up", `▲ ${move}`, `up by ${move}`);
  if (move < 0) return badge("down", `▼ ${-move}`, `down by ${-move}`);
  return badge("same", "same place");
}

function badge(kind, shown, spoken = null) {
  return el("p", { class: `badge ${kind}` },
    spoken ? el("span", { "aria-hidden": "true" }, shown) : shown,
    spoken ? el("span", { class: "hidden" }, spoken) : null);
}

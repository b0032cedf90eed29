// What the page shows, as its address says it: q, category, mode, versus, sort, page, keep, f.<field>, min.<field>,
// max.<field>.

export const MODES = [
  ["hybrid", "Hybrid"],
  ["lexical", "BM25"],
  ["vector", "Vector"],
];
const names = MODES.map(([name]) => name);

export function read(search = location.search) {
  const parameters = new URLSearchParams(search);
  const state = { q: "", category: "", mode: "hybrid", versus: "", sort: "", page: 1, choices: {}, ranges: {}, keep: [] };
  for (const [name, value] of parameters) {
    const field = name.slice(name.indexOf(".") + 1);
    if (name === "q" || name === "category" || name === "sort") state[name] = value;
    else if (name === "mode" && names.includes(value)) state.mode = value;
    else if (name === "versus" && names.includes(value)) state.versus = value;
    else if (name === "keep") state.keep.push(value);
    else if (name === "page") state.page = Math.max(1, Number.parseInt(value, 10) || 1);
    else if (name.startsWith("f.")) (state.choices[field] ??= []).push(value);
    else if (name.startsWith("min.") || name.startsWith("max.")) {
      if (value.trim() !== "" && Number.isFinite(Number(value))) {
        (state.ranges[field] ??= {})[name.slice(0, 3)] = value;
      }
    }
  }
  return state;
}

export function write(state) {
  const parameters = new URLSearchParams();
  if (state.category) parameters.set("category", state.category);
  else if (state.q) parameters.set("q", state.q);
  if (state.mode !== "hybrid") parameters.set("mode", state.mode);
  if (state.versus) parameters.set("versus", state.versus);
  if (state.sort) parameters.set("sort", state.sort);
  for (const [field, values] of Object.entries(state.choices)) {
    for (const value of values) parameters.append(`f.${field}`, value);
  }
  for (const [field, range] of Object.entries(state.ranges)) {
    for (const [end, value] of Object.entries(range)) parameters.set(`${end}.${field}`, value);
  }
  for (const words of state.keep) parameters.append("keep", words);
  if (state.page > 1) parameters.set("page", state.page);
  const text = parameters.toString();
  return text ? `/?${text}` : "/";
}

export function request(state, about, mode, options = {}) {
  const parameters = state.category ? [["category", state.category]] : [["q", state.q]];
  parameters.push(["mode", mode], ["page", state.page], ["thumbnails", "true"], ["explain", "true"]);
  for (const facet of options.facets ?? []) parameters.push(["facet", facet]);
  if (options.facets?.length) parameters.push(["facet_size", 40]);
  for (const words of state.keep) parameters.push(["keep_word", words]);
  if (state.sort && !state.versus) parameters.push(["sort", state.sort]);
  for (const [field, values] of Object.entries(state.choices)) {
    for (const value of values) parameters.push([`filter[${field}]`, value]);
  }
  for (const [field, range] of Object.entries(state.ranges)) {
    if (range.min) parameters.push([`filter[${field}][gte]`, range.min]);
    if (range.max) parameters.push([`filter[${field}][lte]`, range.max]);
  }
  return parameters;
}

export const asked = (state) => Boolean(state.category || state.q.trim());
export const filtered = (state) => Object.keys(state.choices).length + Object.keys(state.ranges).length > 0;

export function toggled(state, field, value) {
  const values = state.choices[field] ?? [];
  const next = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
  const choices = { ...state.choices, [field]: next };
  if (!next.length) delete choices[field];
  return { ...state, choices, page: 1 };
}

export function bounded(state, field, end, value) {
  const range = { ...state.ranges[field], [end]: value };
  if (!value) delete range[end];
  const ranges = { ...state.ranges, [field]: range };
  if (!Object.keys(range).length) delete ranges[field];
  return { ...state, ranges, page: 1 };
}

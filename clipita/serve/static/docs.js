// The interface's description as a page, from the server's own openapi.json.

import { byId, el } from "./dom.js";

const doc = byId("doc");

function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.oneOf) return schema.oneOf.map(kind).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  return [schema.type ?? "any"].flat().join(" or ");
}

function table(caption, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {},
      el("thead", {}, el("tr", {}, ["Name", "Type", "Meaning"].map((word) => el("th", { scope: "col" }, word)))),
      el("tbody", {}, rows.map(([name, schema, about]) => el("tr", {},
        el("td", {}, el("code", {}, name)), el("td", {}, kind(schema)), el("td", {}, about ?? schema?.description ?? ""))))));
}

function example(path, verb, operation) {
  const origin = location.origin;
  if (verb === "get") {
    const query = path === "/v1/search" ? "?q=running+shoes&facet=colour&filter[price][lte]=80" : "";
    return `curl -g '${origin}${path}${query}'`;
  }
  const bodies = {
    "/v1/search": '{"query": "running shoes", "filters": {"price": {"lte": 80}}, "facets": ["colour"]}',
    "/v1/embed/text": '{"texts": ["running shoes"]}',
  };
  if (bodies[path]) return `curl '${origin}${path}' -H 'Content-Type: application/json' -d '${bodies[path]}'`;
  return operation.requestBody ? `curl '${origin}${path}' -F title='Red kurta' -F image=@kurta.jpg` : `curl '${origin}${path}'`;
}

function section(path, verb, operation, schemas) {
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const answer = operation.responses["200"].content["application/json"]?.schema;
  const told = answer?.$ref ? schemas[answer.$ref.split("/").at(-1)] : answer;
  return el("section", {},
    el("h2", {}, el("span", { class: "verb" }, verb.toUpperCase()), path),
    el("p", {}, `${operation.summary}.`),
    el("pre", { tabindex: "0" }, el("code", {}, example(path, verb, operation))),
    operation.parameters ? [el("h3", {}, "Parameters"), table(`Parameters of ${path}`, operation.parameters.map((one) => [one.name, one.schema, one.description]))] : null,
    bodies.map(([type, { schema }]) => [
      el("h3", {}, `Body, ${type}`), table(`Body of ${path}, ${type}`, Object.entries(schema.properties ?? {}).map(([name, one]) => [name, one]))]).flat(),
    told?.properties ? [el("h3", {}, "Answer"), table(`Answer of ${verb} ${path}`, Object.entries(told.properties).map(([name, one]) => [name, one]))] : null);
}

const about = await (await fetch("/openapi.json")).json();
doc.append(el("p", {}, about.info.description));
for (const [path, verbs] of Object.entries(about.paths)) {
  for (const [verb, operation] of Object.entries(verbs)) doc.append(section(path, verb, operation, about.components.schemas));
}
const errors = Object.entries(about.paths["/v1/search"].get.responses).filter(([status]) => status !== "200");
doc.append(el("section", {}, el("h2", {}, "Errors"), el("p", {}, "An error is JSON: {error, hint, request_id}."),
  table("Errors", errors.map(([status, one]) => [status, { type: "Problem" }, one.description]))));
doc.setAttribute("aria-busy", "false");

// A category page over plain HTTP: no model, no library. Node 18 or newer.
//
//   node category.mjs http://localhost:9200 products "Apparel > Topwear > Kurtas" '{"page": 2, "brand": "Fabindia"}'

const [url, index, path, options = "{}"] = process.argv.slice(2);
if (!path) {
  console.error("usage: node category.mjs URL INDEX CATEGORY [OPTIONS]");
  process.exit(2);
}
const { page = 1, size = 24, brand, maxPrice, facets = ["brand"] } = JSON.parse(options);

async function ask(where, body) {
  const answer = await fetch(`${url}/${where}`, {
    method: body ? "POST" : "GET",
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${where}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// The category's vector was written by `clipita ingest`; a shop keeps it, for it changes with the model only.
const category = (await ask(`${index}-categories/_doc/${encodeURIComponent(path)}`))._source;

const conditions = [];
if (brand) conditions.push({ term: { brand } });
if (maxPrice) conditions.push({ range: { price: { lte: maxPrice } } });

const params = {
  query: category.name,
  vector: category.vector,
  category: category.id,
  size,
  from: (page - 1) * size,
  // Numbered: a field's name may hold what the name of an aggregation must not.
  aggs: Object.fromEntries(facets.map((field, number) => [`facet${number}`, { terms: { field } }])),
};
if (conditions.length) params.filter = { bool: { filter: conditions } };

const found = await ask(`${index}/_search/template`, { id: `${index}-saturation`, params });
console.log(JSON.stringify({
  total: found.hits.total.value,
  products: found.hits.hits.map((hit) => ({ id: hit._id, score: hit._score, title: hit._source.title })),
  facets: Object.fromEntries(
    facets.map((field, number) => [
      field, found.aggregations[`facet${number}`].buckets.map((b) => [b.key, b.doc_count]),
    ]),
  ),
}, null, 2));

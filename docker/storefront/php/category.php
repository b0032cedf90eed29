<?php
// A category page over plain HTTP: no model, no library but the curl extension. PHP 8.1 or newer.
//
//   php category.php http://localhost:9200 products "Apparel > Topwear > Kurtas" '{"page": 2, "brand": "Fabindia"}'

declare(strict_types=1);

if ($argc < 4) {
    fwrite(STDERR, "usage: php category.php URL INDEX CATEGORY [OPTIONS]\n");
    exit(2);
}
[, $url, $index, $path] = $argv;
$options = json_decode($argv[4] ?? '{}', true, 512, JSON_THROW_ON_ERROR);
$options += ['page' => 1, 'size' => 24, 'brand' => null, 'maxPrice' => null, 'facets' => ['brand']];

function ask(string $address, ?array $body = null): array
{
    // One handle for all requests keeps the connection open.
    static $curl = null;
    $curl ??= curl_init();
    curl_reset($curl);
    curl_setopt_array($curl, [
        CURLOPT_URL => $address,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 2,
        CURLOPT_TIMEOUT => 10,
        CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
    ]);
    if ($body !== null) {
        // Without PRESERVE_ZERO_FRACTION a vector's 1.0 would go as 1, which is fine for OpenSearch, and shorter.
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE));
    }
    $answer = curl_exec($curl);
    if ($answer === false) {
        throw new RuntimeException("$address: " . curl_error($curl));
    }
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    if ($status >= 400) {
        throw new RuntimeException("$address: $status $answer");
    }
    return json_decode($answer, true, 512, JSON_THROW_ON_ERROR);
}

// The category's vector was written by `clipita ingest`; a shop keeps it, for it changes with the model only.
$category = ask("$url/$index-categories/_doc/" . rawurlencode($path))['_source'];

$conditions = [];
if ($options['brand'] !== null) {
    $conditions[] = ['term' => ['brand' => $options['brand']]];
}
if ($options['maxPrice'] !== null) {
    $conditions[] = ['range' => ['price' => ['lte' => $options['maxPrice']]]];
}

$params = [
    'query' => $category['name'],
    'vector' => $category['vector'],
    'category' => $category['id'],
    'size' => $options['size'],
    'from' => ($options['page'] - 1) * $options['size'],
];
// Numbered: a field's name may hold what the name of an aggregation must not.
foreach ($options['facets'] as $number => $field) {
    $params['aggs']["facet$number"] = ['terms' => ['field' => $field]];
}
if ($conditions !== []) {
    $params['filter'] = ['bool' => ['filter' => $conditions]];
}

$found = ask("$url/$index/_search/template", ['id' => "$index-saturation", 'params' => $params]);
$facets = [];
foreach ($options['facets'] as $number => $field) {
    $buckets = $found['aggregations']["facet$number"]['buckets'];
    $facets[$field] = array_map(fn (array $bucket): array => [$bucket['key'], $bucket['doc_count']], $buckets);
}
echo json_encode([
    'total' => $found['hits']['total']['value'],
    'products' => array_map(
        fn (array $hit): array => ['id' => $hit['_id'], 'score' => $hit['_score'], 'title' => $hit['_source']['title'] ?? null],
        $found['hits']['hits'],
    ),
    'facets' => (object) $facets,
], JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";

#!/bin/sh
# Draws the sample shop, trains, exports and fills the index, in the current folder. Run again, it continues where it stopped.
# The commands are those of `clipita demo`, on the cluster of CLIPITA_OPENSEARCH_URL.
set -eu

test -f shop/test.parquet || clipita sample shop --products "${CLIPITA_SAMPLE_PRODUCTS:-4000}" --seed 7
test -f clipita.toml || clipita init --catalogue shop/train.parquet
if ! test -f runs/clip-ita/done; then
    python -c "from importlib.resources import files; print(files('clipita.cli').joinpath('demo_tower.json').read_text())" > tower.json
    clipita train --recipe paper --loss tree --tower-config tower.json --unfreeze --dim 128 --epochs 14 --batch-size 64 --seed 7
    touch runs/clip-ita/done
fi
test -f model/manifest.json || clipita export-onnx
clipita ingest --index products
clipita search "running shoes" --index products --size 5 --facet brand
clipita evaluate --index products --json results.json --report report.html

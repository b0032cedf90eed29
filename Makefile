# Everything runs from a virtual environment in .venv that these targets make by themselves.
# Needed: Linux, Python 3.11 or newer with venv, and a package registry that pip can reach.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SOURCES := clipita exporters opensearch cli tests benchmarks docker docs

.PHONY: help demo test test-all test-engines test-lowest lint types setup lock audit release trust fuzz soak docs bench-fashion bench-quality bench-paper bench-new-categories bench-add-category bench-demo bench-runtime bench-search bench-page bench-catalogues bench-serve bench-ingest bench-walk picture clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

demo: setup  ## the whole road on a drawn sample shop, in a local OpenSearch
	$(BIN)/clipita demo

test: lint types  ## lint, types, and the tests that take minutes
	$(BIN)/pytest -m "not slow"

test-all: lint types  ## the slow, thorough tests too
	$(BIN)/pytest

test-engines: setup  ## each feature on OpenSearch 2.13 to 3.6, and the table of docs/engines.md; downloads 540 MB once
	$(BIN)/pytest tests/engines

test-lowest: setup  ## the lowest versions that pyproject.toml allows: a job of its own for CI
	$(BIN)/pytest tests/release/test_lowest_versions.py

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

# mypy skips packages that an editable install maps, so it looks at the built wheel; the count proves that it saw all.
types: setup
	rm -rf build/typed build/lib build/dist && mkdir -p build/typed
	$(UV) build --quiet --wheel --out-dir build/dist --python $(BIN)/python .
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --target build/typed build/dist/*.whl
	cd build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml --python-executable ../../$(BIN)/python \
	  --cache-dir ../../.mypy_cache -p clipita | tee ../types.txt
	@test "$$(sed -n 's/.*no issues found in \([0-9]*\) source files.*/\1/p' build/types.txt)" -ge \
	  "$$(find clipita exporters opensearch cli -name '*.py' | wc -l)"

setup: $(VENV)/installed  ## the virtual environment with everything that tests and demo need

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "clipita needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --python $(BIN)/python --editable '.[cpu,train,local,serve]' --group test --group lint --group browser --group docs --group release
	touch $@

lock: setup  ## lock the container images' packages: docker/requirements
	for extra in cpu gpu; do $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --extra $$extra --extra serve --extra otel --custom-compile-command "make lock" --upgrade \
	  pyproject.toml -o docker/requirements/$$extra.txt; done

docs: setup  ## the documentation as a site, build/site/index.html; any dead link stops it
	$(UV) pip install --quiet --python $(BIN)/python --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

audit: setup  ## known vulnerabilities and licences of what the serving image installs
	$(UV) pip install --quiet --python $(BIN)/python --group release
	$(BIN)/pip-audit -r docker/requirements/cpu.txt --disable-pip --require-hashes
	$(BIN)/pip-licenses --python $(BIN)/python --format=markdown --order=license \
	  --packages $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' docker/requirements/cpu.txt)

release: setup  ## wheel, source archive, bill of materials and checksums into dist/; publishes nothing
	$(UV) pip install --quiet --python $(BIN)/python --group release
	$(BIN)/python docker/release.py

trust: setup  ## kills, spoilt answers, fuzzed input, memory, half an hour of restarts: benchmarks/results/trust.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/trust.py

fuzz: setup  ## its fuzzed input alone
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/trust.py --only fuzz

soak: setup  ## its half an hour of searches, swaps and node restarts alone
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/trust.py --only soak

bench-fashion: setup  ## the real catalogue, from raw data to benchmarks/results/fashion.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/fashion.py

bench-quality: setup  ## the default recipe beside the paper's, seen and unseen: benchmarks/results/quality.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/quality.py

bench-paper: setup  ## the CLIP-ITA paper's set-ups, loss and error analysis: benchmarks/results/paper.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/paper.py; status=$$?; $(BIN)/python benchmarks/tables.py; exit $$status

bench-new-categories: setup  ## categories by examples, ten draws of 30: benchmarks/results/new_categories.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/new_categories.py

bench-add-category: setup  ## a category beside a million products; needs BUNDLE=folder
	$(BIN)/python benchmarks/add_category.py --bundle $(BUNDLE)

bench-demo: setup  ## how long the demo takes, and its table
	$(BIN)/python benchmarks/demo.py

bench-runtime: setup  ## the encoders against eager PyTorch open_clip: benchmarks/results/runtime.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/runtime.py

bench-search: setup  ## search on the real catalogue: make bench-search BUNDLE=model
	$(BIN)/python benchmarks/search.py --bundle $(BUNDLE)

bench-page: setup  ## what a page holds, its weight, typed queries: benchmarks/results/page.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/page.py

bench-catalogues: setup  ## catalogues of other systems, groceries, other names: benchmarks/results/catalogues.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/catalogues.py

.PHONY: bench-pictures
bench-pictures: setup  ## several pictures per product: speed and quality: benchmarks/results/pictures.json
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/pictures.py

bench-serve: setup  ## /v1/search under 64 clients against the bare node; needs BUNDLE=folder
	$(BIN)/python benchmarks/serve.py --bundle $(BUNDLE)

bench-ingest: setup  ## ingest on the real catalogue, its speed and its faults; BUNDLE=folder spares training one
	$(UV) pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python benchmarks/ingest.py $(if $(BUNDLE),--bundle $(BUNDLE))

bench-walk: setup  ## the how-to of an existing index, every command timed, at 100,000 products: benchmarks/results/walk.json
	$(BIN)/python benchmarks/walk.py

picture: setup  ## the README's picture, from what `make demo` left
	$(BIN)/python benchmarks/picture.py

clean:  ## remove what was built here; caches of downloads stay
	rm -rf build demo $(VENV)

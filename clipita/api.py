"""What the commands do, from Python: `clipita.ingest` and its like.

Every function takes settings objects, whose defaults are those of clipita.toml, and reports progress and warnings by
callables. Nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipita.config import (
    ExportConfig,
    FieldsConfig,
    IngestConfig,
    ModelConfig,
    OpenSearchConfig,
    SearchConfig,
    TrainingConfig,
    override,
)
from clipita.errors import AuthenticationError, BundleError, MissingExtraError, UsageError
from clipita.languages import ENGLISH

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from clipita.catalogue.reader import CatalogueFile
    from clipita.evaluation.evaluate import Evaluation
    from clipita.evaluation.protocol import Subset
    from clipita.opensearch.ingest.outcomes import IngestReport
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle
    from clipita.training.recipes import Recipe
    from clipita.training.run import Outcome
    from clipita.training.trainer import Epoch

Warn = Callable[[str], None]
Progress = Callable[[int, int | None], None]
Stages = Callable[[str, int, int | None], None]
"""Called with a stage, how far it is, and out of how much where that is known."""


def train(
    train: str | Path,
    valid: str | Path,
    *,
    model: ModelConfig | None = None,
    training: TrainingConfig | None = None,
    recipe: Recipe | None = None,
    fields: FieldsConfig | None = None,
    image_root: Path | None = None,
    hold_out: int | Path | None = None,
    force: bool = False,
    progress: Stages | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    warn: Warn | None = None,
) -> Outcome | None:
    """Train CLIP-ITA into the folder `training.run`, or go on where an interrupted call stopped.

    Under torchrun each process makes the same call; see docs/scale.md.

    Example::

        outcome = clipita.train("train.parquet", "valid.parquet", training=TrainingConfig(epochs=5))
        print(outcome.best.r_precision)

    Args:
        train: products to learn from.
        valid: products to stop by.
        model: towers, modalities, sizes.
        training: loss, epochs, seed, folders.
        recipe: `default` or `paper`: its settings take the place of those in `model` and `training`.
        fields: which column is what.
        image_root: folder of the image files.
        hold_out: categories that training must not see: how many leaves, drawn by the seed, or a file of names.
        force: replace what the run folder holds.
        progress: called during long work.
        on_epoch: called after every epoch.
        warn: called with each id, group or image that the two files share.

    Returns:
        The model and its figures; None in a process that is not the first of several.

    Raises:
        MissingExtraError: the extra `train` is not installed.
        CheckpointError: the folder holds a finished training, or one with other settings.
        TrainingError, CatalogueError, ConfigError: towers, products or settings cannot be used.
    """
    try:
        from clipita.training.distributed import joined
        from clipita.training.prepare import Sources
        from clipita.training.recipes import apply_recipe
        from clipita.training.run import train as run
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from error
    model, training = model or ModelConfig(), training or TrainingConfig()
    if recipe is not None:
        model, training = apply_recipe(recipe, model, training)
    sources = Sources(Path(train), Path(valid), fields or FieldsConfig(), image_root, hold_out)
    with joined(training.device) as ranks:
        tell = progress if progress is not None and ranks.first else lambda *_: None
        if warn is not None and ranks.first:
            from clipita.catalogue.reader import CatalogueFile
            from clipita.catalogue.variants.shared import shared_by

            tell("Comparing the files", 0, None)
            for shared in shared_by([CatalogueFile(Path(file), fields, image_root) for file in (train, valid)]):
                warn(str(shared))
        outcome = run(sources, model, training, tell, on_epoch or (lambda _: None), force=force, ranks=ranks)
    return outcome if ranks.first else None


def export(
    run: str | Path = TrainingConfig.run,
    *,
    catalogue: str | Path | CatalogueFile,
    config: ExportConfig | None = None,
    dim: int | None = None,
    products: int | None = None,
    fields: FieldsConfig | None = None,
    image_root: Path | None = None,
    command: str = "clipita.export",
    progress: Warn | None = None,
) -> Bundle:
    """Export a trained model as a bundle that runs without PyTorch, compared with PyTorch on real products.

    Example::

        bundle = clipita.export("runs/clip-ita", catalogue="valid.parquet", config=ExportConfig(precision="int8"))

    Args:
        run: the folder of the training.
        catalogue: real products for the comparison.
        config: folder of the bundle, precision, how close it must be to PyTorch.
        dim: cut the vectors to this length.
        products: how many to compare on; None as in `config`, by the precision.
        fields: which column is what.
        image_root: folder of the image files.
        command: recorded in the manifest as what made the bundle.
        progress: called with what is being done.

    Returns:
        The bundle; `manifest["export"]` has the comparison.

    Raises:
        MissingExtraError: the extra `train` or onnxruntime is not installed.
        CheckpointError: there is no finished training.
        ExportError: a graph cannot be exported or written, or the folder holds something that is not a bundle.
        ParityError: ONNX and PyTorch disagree; nothing is left behind.
    """
    try:
        from clipita.catalogue.reader import CatalogueFile
        from clipita.exporters.bundle import export_bundle
        from clipita.model.checkpoint import load_run
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "onnx", "train,cpu") from error
    config = config or ExportConfig()
    count = products or (config.parity_products if config.precision == "fp32" else config.retrieval_products)
    if not isinstance(catalogue, CatalogueFile):
        catalogue = CatalogueFile(Path(catalogue), fields, image_root)
    trained = load_run(Path(run))
    if dim is not None:
        trained.model.truncate(dim)
    bundle, _ = export_bundle(
        trained, catalogue, config.bundle, lowest_cosine=config.parity, products=count, precision=config.precision,
        max_loss=config.max_loss, command=command, report=progress or (lambda _: None),
    )  # fmt: skip
    return bundle


def evaluate(
    catalogue: str | Path | CatalogueFile,
    *,
    models: Sequence[str | Path | Bundle] = (),
    index: str | None = None,
    opensearch: OpenSearchConfig | None = None,
    search: SearchConfig | Mapping[str, Any] | None = None,
    subset: Subset = "all",
    queries: Path | None = None,
    without: Sequence[str] = (),
    fields: FieldsConfig | None = None,
    image_root: Path | None = None,
    device: str = "cpu",
    language: str = ENGLISH,
    progress: Stages | None = None,
    warn: Warn | None = None,
) -> Evaluation:
    """Measure category search on products that training did not see.

    Every category name is a query; a product is right if the category lies on one of its paths.

    Example::

        measured = clipita.evaluate("test.parquet", models=["model/"], index="products")
        print(measured.as_json()["rows"])

    Args:
        catalogue: the products.
        models: bundles; without one BM25 alone is measured.
        index: a live index to measure too, by its alias: lexical, vector and hybrid.
        opensearch: its cluster.
        search: fields that BM25 reads, weight and so on, as of `ProductSearch`.
        subset: `seen` or `unseen`: only categories that the training of the models saw, or did not.
        queries: a file of queries as people type them in place of the categories; see `evaluation.typed.read_queries`.
        without: `image`, `title` or `attributes`: the models once more on products that lack it.
        fields: which column is what.
        image_root: folder of the image files.
        device: where the models run: cpu, cuda or cuda:N.
        language: that BM25 without a cluster reads titles in, as of `IngestConfig`.
        progress: called during long work.
        warn: called with what a reader must know, in sentences.

    Raises:
        CatalogueError, BundleError, DeviceError: the catalogue or a model cannot be used.
        UsageError: `subset` or `without` and no model.
        ClusterError: no connection, no such index, vectors of another model, or none of the products is in it.
    """
    from clipita.catalogue.reader import CatalogueFile
    from clipita.evaluation.evaluate import evaluate_offline
    from clipita.opensearch.search.defaults import settings_for

    tell, said = progress or (lambda *_: None), warn or (lambda _: None)
    if not isinstance(catalogue, CatalogueFile):
        catalogue = CatalogueFile(Path(catalogue), fields, image_root)
    measured = evaluate_offline(
        catalogue, [Path(one) if isinstance(one, str) else one for one in models], settings_for({}, search),
        subset=subset, queries=queries, without=without, device=device, language=language, progress=tell, warn=said,
    )  # fmt: skip
    if index is not None:
        from clipita.opensearch.quality.live import measure_live

        def noted(text: str) -> None:
            measured.warnings.append(text)
            said(text)

        cluster = override(opensearch or OpenSearchConfig(), index=index)
        live = measure_live(measured.protocol, measured.models, cluster, search, device, tell, noted)
        measured.results += live.results
        measured.live = live.facts
    return measured


def ingest(
    files: str | Path | CatalogueFile | Sequence[str | Path | CatalogueFile] = (),
    *,
    cluster: str | OpenSearch | None = None,
    index: str | None = None,
    model: str | Path | Bundle = "model",
    from_index: str | None = None,
    new_index: bool = False,
    in_place: bool = False,
    prune: bool = False,
    force: bool = False,
    fields: FieldsConfig | None = None,
    image_root: Path | None = None,
    config: IngestConfig | None = None,
    opensearch: OpenSearchConfig | None = None,
    search: SearchConfig | Mapping[str, Any] | None = None,
    started: Callable[[Ingest], None] | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
) -> IngestReport:
    """Write products, their vectors, category vectors and search templates; only what changed is encoded.

    After any interruption the same call goes on where this one stopped.

    Example::

        report = clipita.ingest("catalogue.parquet", index="products", model="model/")
        print(report.counts)

    Args:
        files: catalogue files, or folders of them; Parquet, JSON Lines or CSV.
        cluster: URL, or a client of opensearch-py, or None for what `opensearch` says (the local node by default).
        index: the alias; without it `from_index`, or else products.
        model: the bundle, or its folder.
        from_index: the shop's own index to read instead of files.
        new_index: build a new index beside the present one and switch the alias once it is complete.
        in_place: add vectors to existing documents, and change nothing else.
        prune: remove products that left the catalogue.
        force: remove them whatever their share, and switch to a new index that lacks products.
        fields: which column is what.
        image_root: folder of the image files; without it, the folder of the catalogue file.
        config: batch size, device, engine, shards and so on.
        opensearch: user, certificates, time limit.
        search: defaults that the templates keep, as of `ProductSearch`.
        started: called with the run before its first row, for those who show its rate or its report after an error.
        progress: called with the number of products that have an outcome, and of all where that is known.
        warn: called with waits and other events, in sentences.

    Returns:
        What was done. Products that were left out are in the file `config.rejected`, with the reasons.

    Raises:
        ClipItaError: see `Ingest.run`; a missing bundle; a refused category vector.
        KeyboardInterrupt: passed on after pending documents have been written.
    """
    from clipita.catalogue.reader import CatalogueFile, files_in
    from clipita.opensearch.cluster.connection import capabilities, connect
    from clipita.opensearch.cluster.retry import Backoff
    from clipita.opensearch.index import categories
    from clipita.opensearch.index.index import read, require
    from clipita.opensearch.ingest.index_source import IndexSource
    from clipita.opensearch.ingest.run import Ingest
    from clipita.opensearch.quality import thresholds
    from clipita.opensearch.search import templates
    from clipita.opensearch.search.defaults import settings_in
    from clipita.runtime import Bundle

    config, fields, warn = config or IngestConfig(), fields or FieldsConfig(), warn or (lambda _: None)
    bundle = Bundle.load(Path(model)) if isinstance(model, str | Path) else model
    client = connect(opensearch, cluster) if isinstance(cluster, str | None) else cluster
    catalogues: list[CatalogueFile] = []
    for file in [files] if isinstance(files, str | Path | CatalogueFile) else files:
        if isinstance(file, CatalogueFile):
            catalogues.append(file)
        else:
            paths = files_in(Path(file)) if Path(file).is_dir() else [Path(file)]
            catalogues += [CatalogueFile(path, fields, image_root) for path in paths]
    index = index or from_index or OpenSearchConfig.index
    backoff = Backoff(warn, config.patience)
    copied = None
    if from_index is not None:
        copied = backoff.call(client, lambda: IndexSource(client, from_index, fields, image_root))

    def beside(name: str) -> Mapping[str, str]:
        language = backoff.call(client, lambda: read(client, name)).language
        written = categories.write_vectors(client, name, bundle, run.paths, backoff, language)
        warn(f"{written:,} categories have their vectors in {index}{categories.SUFFIX}.")
        if config.synonyms is not None:
            _name_categories(config.synonyms, bundle, config.device, warn)
        fitted = thresholds.refit(client, name, bundle, backoff)
        if fitted is not None:
            warn(f"Where a page ends was fitted on {fitted:,} products with a category.")
        return categories.alias_beside(index, name)

    run = Ingest(
        client, bundle, config, alias=index, new_index=new_index, in_place=in_place, prune=prune, force=force,
        progress=progress, warn=warn, beside=beside,
    )  # fmt: skip
    if started is not None:
        started(run)
    report = run.run(copied or catalogues)
    try:
        present = backoff.call(client, lambda: require(client, index))
        offered = backoff.call(client, lambda: capabilities(client))
        templates.put(
            client, index, settings_in(present, search), offered, present.id_field, backoff, on_disk=present.on_disk
        )
    except (AuthenticationError, UsageError) as error:
        # Templates are for other languages, and need a permission and a text field, which an index of images may lack.
        warn(f"The search templates were not stored: {error}")
    return report


def _name_categories(synonyms: Path, bundle: Bundle, device: str, warn: Warn) -> None:
    """Give the categories of a bundle the names that the shop's synonyms have for them."""
    from clipita.categories import name_categories, names_of_synonyms

    try:
        new = name_categories(names_of_synonyms(synonyms, model=bundle), model=bundle, device=device)
    except (BundleError, UsageError) as error:
        # A bundle may be read-only, or of a recipe without a gate. Where the words half takes the synonyms, it has read
        # them before the first product.
        warn(f"The synonyms name no categories: {error}")
        return
    if new:
        warn(f"New names of categories from {synonyms}: {new:,}. Searches and servers know them from their next start.")

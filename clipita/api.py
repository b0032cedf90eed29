"""What the commands do, from Python: `clipita.ingest` and its like.

Every function takes settings objects, whose defaults are those of clipita.toml, and reports progress and warnings by
callables. Nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipita.config import FieldsConfig, IngestConfig, OpenSearchConfig, SearchConfig
from clipita.errors import AuthenticationError, UsageError

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from clipita.catalogue.reader import CatalogueFile
    from clipita.opensearch.ingest.outcomes import IngestReport
    from clipita.opensearch.ingest.run import Ingest
    from clipita.runtime import Bundle

Warn = Callable[[str], None]
Progress = Callable[[int, int | None], None]


def ingest(
    files: str | Path | CatalogueFile | Sequence[str | Path | CatalogueFile] = (),
    *,
    cluster: str | OpenSearch | None = None,
    index: str = "products",
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
        index: the alias.
        model: the bundle, or its folder.
        from_index: the shop's own index to read instead of files.
        new_index: build a new index beside the present one and switch the alias once it is complete.
        in_place: add vectors to existing documents, and change nothing else.
        prune: remove products that left the catalogue.
        force: remove them whatever their share.
        fields: which column is what.
        image_root: folder of relative image paths; without it, the folder of the catalogue file.
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
    from clipita.opensearch.index.index import require
    from clipita.opensearch.ingest.index_source import IndexSource
    from clipita.opensearch.ingest.run import Ingest
    from clipita.opensearch.search import templates
    from clipita.opensearch.search.settings import settings_in
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
    copied = None if from_index is None else IndexSource(client, from_index, fields, image_root)
    run = Ingest(
        client, bundle, config, alias=index, new_index=new_index, in_place=in_place, prune=prune, force=force,
        progress=progress, warn=warn,
    )  # fmt: skip
    if started is not None:
        started(run)
    report = run.run(copied or catalogues)
    written = categories.publish(client, index, report.index, bundle, run.paths, Backoff(warn, config.patience))
    warn(f"{written:,} categories have their vectors in {index}{categories.SUFFIX}.")
    try:
        templates.put(client, index, settings_in(require(client, index), search), capabilities(client))
    except (AuthenticationError, UsageError) as error:
        # Templates are for other languages, and need a permission and a text field, which an index of images may lack.
        warn(f"The search templates were not stored: {error}")
    return report

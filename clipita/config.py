"""Settings: clipita.toml, environment variables and flags become frozen dataclasses.

Order of precedence: flag > environment > file > default. An environment variable is named
`CLIPITA_<SECTION>_<KEY>`, for instance `CLIPITA_OPENSEARCH_URL`. The docstring of a class and the text beside each
setting are what `clipita init`, the command line and the reference show.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clipita.columns_config import ColumnsConfig
from clipita.languages import LanguageConfig
from clipita.option_table import check_known, option, read_environment, read_file, read_table
from clipita.serve_config import ServeConfig

CONFIG_FILE = "clipita.toml"

QUERY_TEMPLATES = (
    "buy {} online", "{} for women", "{} for men", "a photo of {}", "picture of {}", "cheap {}", "best {}",
    "shop for {}", "{} sale", "{} in style", "new {}", "looking for {}",
)  # fmt: skip


@dataclass(frozen=True)
class FieldsConfig(ColumnsConfig):
    """Which column of your catalogue is what.

    An empty name ("") says that the catalogue has no such column. Columns that are not named here stay as they are and
    are written to the index.
    """

    group: str = option(
        "",
        "Column that rows of one product share: Shopify's Handle, WooCommerce's Parent, Magento's "
        "configurable_variations, Google's item_group_id.",
    )
    variants: Literal["rows", "one"] = option(
        "rows",
        "rows: each row is a product of its own, with the group's id in the field `group`. one: the rows of a group "
        "are one product, with the rows in its field `variants`.",
    )


@dataclass(frozen=True)
class CatalogueConfig:
    """Where the catalogue is: Parquet, JSON Lines or CSV files. Relative paths start at this file's folder."""

    train: Path | None = option(None, "Products to learn from.", example="train.parquet")
    valid: Path | None = option(
        None, "Products by which training decides when to stop; none of those of train.", example="valid.parquet"
    )
    test: Path | None = option(None, "Products to report quality on; used for nothing else.", example="test.parquet")
    image_root: Path | None = option(
        None, "Folder of the image files; without it, the folder of the catalogue file.", example="images"
    )
    image_roots: tuple[Path, ...] = option((), "More folders that image files may lie in.", one="folder")
    allow_private_hosts: tuple[str, ...] = option(
        (), "Hosts, addresses and networks (10.1.0.0/16) inside your own network that images may come from.", one="host"
    )
    image_cache: Path = option(
        Path(".clipita/images"),
        "Folder of images fetched by URL, with what the server needs to say whether they changed.",
    )
    image_cache_gb: float = option(10.0, "Largest size of that folder.", ge=0)


@dataclass(frozen=True)
class ModelConfig:
    """The pretrained towers and what is learnt on top of them."""

    tower: str = option(
        "ViT-B-32", "Image and text tower: a model name of open_clip, local-dir:/path or hf-hub:org/name."
    )
    pretrained: str | None = option(
        "laion2b_s34b_b79k", "The tower's weights: a tag that open_clip knows for this tower, or a checkpoint file."
    )
    tower_config: Path | None = option(
        None, "An open_clip model configuration (JSON) of your own; takes the place of tower.", example="tower.json"
    )
    modalities: str = option("ITA", "What a product's vector is made of: I (image), T (title), A (attributes).")
    heads: Literal["residual", "plain"] = option(
        "residual",
        "residual: corrections of the pretrained text space, which keep new categories searchable. plain: the "
        "heads of the CLIP-ITA paper. Towers that learn (unfreeze, lora_rank) always have plain ones.",
    )
    dim: int = option(
        384, "Length of the vectors. Those of residual heads can be cut to 256, 128 or 64 at the export.", ge=8, le=4096
    )
    hidden: int = option(512, "Width of the hidden layer on top of the towers.", ge=1)
    dropout: float = option(0.1, "Share of hidden units left out in a training step.", ge=0, le=1)


@dataclass(frozen=True)
class TrainingConfig:
    """How the model is trained: clipita train."""

    loss: Literal["tree", "infonce"] = option(
        "tree", "tree: every product against every category of the tree. infonce: the loss of the CLIP-ITA paper."
    )
    epochs: int = option(15, "Largest number of passes over the catalogue.", ge=1)
    batch_size: int = option(512, "Products per step.", ge=2)
    learning_rate: float = option(0.001, "Step size of AdamW at its peak.", gt=0)
    weight_decay: float = option(0.001, "Weight decay of AdamW.", ge=0)
    modality_dropout: float = option(
        0.3,
        "Share of products whose image or attributes are hidden in a step, so that products which lack one still "
        "get good vectors. Plain heads hide titles too, half as often.",
        ge=0,
        le=1,
    )
    balance: float = option(
        0.5,
        "How much more often products of small categories are drawn: 0 as they come, 1 all categories equally often.",
        ge=0,
        le=1,
    )
    distillation: float = option(
        0.1, "Weight of the loss that keeps words which name no category in their place; residual heads only.", ge=0
    )
    query_templates: tuple[str, ...] = option(
        QUERY_TEMPLATES,
        "What people put around a category's name, which stands for {}. Write your customers' own language here.",
    )
    patience: int = option(6, "Epochs without progress on the valid products after which training stops.", ge=1)
    seed: int = option(0, "Makes a training repeatable.")
    unfreeze: bool = option(
        False, "Train the towers too: much slower, requires a GPU or a small tower, and nothing is cached."
    )
    device: str = option("cpu", "cpu, cuda or cuda:N. With torchrun, cuda gives each process a GPU.")
    lora_rank: int = option(
        0,
        "Rank of adapters on the towers' linear layers, 8 for instance: the towers learn by them while their own "
        "weights stay (LoRA), and they are merged at the end. 0: none. Requires a GPU, and nothing is cached.",
        ge=0,
    )
    lora_alpha: float = option(16.0, "An adapter's update counts lora_alpha / lora_rank times.", gt=0)
    run: Path = option(Path("runs/clip-ita"), "Folder of the training: checkpoint, metrics, split.")
    cache: Path = option(Path(".clipita/features"), "Folder in which the towers' outputs are kept between trainings.")

    @property
    def learns_towers(self) -> bool:
        """Whether the towers' weights change."""
        return self.unfreeze or self.lora_rank > 0


@dataclass(frozen=True)
class ExportConfig:
    """The ONNX bundle: clipita export-onnx."""

    bundle: Path = option(Path("model"), "Folder of the exported model, which ingest and search load.")
    precision: Literal["fp32", "fp16", "int8"] = option("fp32", "fp32, fp16 (GPUs) or int8 (fast on CPUs).")
    parity: float = option(
        0.9999, "Lowest cosine between PyTorch's and ONNX's vectors with which an fp32 export passes.", ge=0, le=1
    )
    parity_products: int = option(256, "Products on which the two are compared.", ge=1)
    max_loss: float = option(0.5, "Points of R-precision that an export may lose against PyTorch.", ge=0)
    retrieval_products: int = option(2000, "Products on which precisions below fp32 are compared.", ge=1)


@dataclass(frozen=True)
class OpenSearchConfig:
    """The cluster.

    The password is never read from this file: set CLIPITA_OPENSEARCH_PASSWORD, or name a password_file.
    """

    # Not in the repr: it may hold a user and a password.
    url: str | None = option(
        None,
        "Address of the cluster, or of several nodes with commas between; without it, the local node.",
        example="https://search.internal:9200",
        repr=False,
    )
    index: str = option("products", "Alias under which the index is searched; ingest makes the index behind it.")
    username: str | None = option(None, "User for HTTP basic authentication.", example="clipita")
    password: str | None = option(
        None, "Only from the environment: CLIPITA_OPENSEARCH_PASSWORD.", secret=True, repr=False
    )
    password_file: Path | None = option(
        None, "File that holds the password on its first line.", example="/run/secrets/opensearch"
    )
    password_keyring: str | None = option(
        None,
        "Service in the system's keyring under which the user's password is kept (pip install 'clipita[keyring]').",
        example="opensearch",
    )
    aws_region: str | None = option(
        None,
        "Sign requests with AWS credentials, for Amazon OpenSearch Service (pip install 'clipita[aws]').",
        example="eu-central-1",
    )
    ca_certs: Path | None = option(
        None, "Certificates (PEM) of an authority that the system does not know.", example="ca.pem"
    )
    verify_certs: bool = option(True, "Check the cluster's certificate.")
    client_cert: Path | None = option(
        None, "Client certificate (PEM), where the cluster or a proxy before it requires one.", example="client.pem"
    )
    client_key: Path | None = option(None, "Its private key (PEM), where that is another file.", example="client.key")
    client_key_password: str | None = option(
        None, "Only from the environment: CLIPITA_OPENSEARCH_CLIENT_KEY_PASSWORD.", secret=True, repr=False
    )
    allowed_hosts: tuple[str, ...] = option(
        (), "The only hosts to connect to, as host or host:port, * for any characters; empty allows all."
    )
    require_tls: bool = option(True, "Refuse to send a password unencrypted to another machine.")
    timeout: float = option(30.0, "Seconds to wait for an answer.", gt=0)
    home: Path = option(Path(".clipita/opensearch"), "Folder of the local node: its programs, data and log.")


@dataclass(frozen=True)
class IngestConfig(LanguageConfig):
    """How products are written to the index: clipita ingest."""

    batch_size: int = option(64, "Products encoded at once; 0 measures which number is fastest.", ge=0)
    device: str = option("cpu", "cpu, cuda, cuda:N or tensorrt.")
    engine: Literal["auto", "lucene", "faiss"] = option(
        "auto", "k-NN engine of the vector field: auto, lucene or faiss."
    )
    precision: Literal["fp32", "fp16", "byte", "binary"] = option(
        "fp32",
        "How the cluster keeps vectors: fp32; byte (a quarter of the memory, lucene); fp16 (half) or binary (a "
        "thirty-second, re-scored from disk), both faiss.",
    )
    m: int | None = option(
        None,
        "Links per product in the k-NN graph; without it by the size of the catalogue: 16, from 1 million on 24, "
        "from 10 million on 32.",
        ge=2,
        le=512,
        example=16,
    )
    ef_construction: int | None = option(
        None, "Candidates considered for each link while the graph is built; without it 512.", ge=2, example=512
    )
    shards: int = option(1, "Primary shards of a new index.", ge=1)
    replicas: int = option(0, "Copies of each shard; 0 for one node, at least 1 for a cluster.", ge=0)
    thumbnails: bool = option(
        True, "Keep a small JPEG in documents whose image came as bytes, to show it in search results."
    )
    bulk_documents: int = option(
        500, "Largest number of documents per bulk request; fewer are sent while the cluster is busy.", ge=1
    )
    bulk_threads: int = option(2, "Bulk requests that are sent at once.", ge=1)
    fetch_threads: int = option(32, "Images by URL that are fetched at once; one host gets at most 16.", ge=1)
    patience: float = option(
        120.0,
        "Seconds to wait for a cluster that is busy or away before giving up; the same command then goes on later.",
        ge=0,
    )
    prune_limit: float = option(0.1, "Largest share of the index that --prune removes without --force.", ge=0, le=1)
    swap_limit: float = option(0.05, "Largest share of products that a new index may lack without --force.", ge=0, le=1)
    runner: Literal["local", "ray"] = option(
        "local",
        "Where products are encoded: local (in this process) or ray (on the machines of a Ray cluster); see "
        "docs/scale.md.",
    )
    ray_encoders: int | None = option(
        None,
        "Encoders on the Ray cluster; without it one per GPU, or one per machine where there are none.",
        ge=1,
        example=2,
    )
    rejected: Path = option(Path("rejected.jsonl"), "File for products that could not be written, with the reasons.")
    image_warnings: Path = option(Path("image-warnings.jsonl"), "File for products whose image could not be used.")


@dataclass(frozen=True)
class SearchConfig:
    """Category search.

    score = (1 - weight) * bm25 / (bm25 + pivot) + weight * cosine
    """

    mode: Literal["lexical", "vector", "hybrid"] = option(
        "hybrid", "lexical (BM25 alone), vector (the model alone) or hybrid (both)."
    )
    fusion: str = option(
        "saturation",
        "How hybrid makes one score of two: saturation (any cluster), or min_max or rrf (neural-search plugin).",
    )
    weight: float | None = option(
        None, "Share of the vector's score in hybrid; by default the query's nearness to known names.", ge=0, le=1
    )
    weight_known: float = option(0.8, "The share for a query that names a known category.", ge=0, le=1)
    weight_unknown: float = option(0.4, "The share for a query that is like no known category.", ge=0, le=1)
    pivot: float = option(10.0, "The BM25 score that counts one half in hybrid.", gt=0)
    precision: float = option(
        0.9, "Least share of right products in what the vector adds to a page; more gives less.", ge=0.5, le=0.99
    )
    k: int = option(400, "Nearest products that each shard adds in an index without fitted thresholds.", ge=1, le=10000)
    size: int = option(24, "Products per page.", ge=0, le=10000)
    fields: tuple[str, ...] = option(
        ("title",), "Text fields that BM25 searches, each with an optional boost (title^3).", one="field"
    )
    lexical: Mapping[str, Any] | None = option(
        None,
        "A query clause of your own, such as a multi_match or a function_score, in place of BM25 over fields; "
        "{{query}} in its texts stands for the query. Here it is a table: [search.lexical.multi_match].",
        inside=True,
    )
    boosts: tuple[str, ...] = option(
        (),
        "Business signals that multiply the score by 1 + weight * signal: popularity:sales:0.2:100, "
        "stock:in_stock:0.3, recency:added:0.2:30, margin:margin:0.1:0:0.5.",
        one="boost",
    )
    understand: bool = option(
        True, "Read values of the products' fields (red) and ranges of numbers (under 50) out of the query."
    )
    strict: bool = option(
        False, "Leave out products without the values that the query names; otherwise they are ranked lower."
    )


@dataclass(frozen=True)
class Config:
    """Everything that can be set, by section of clipita.toml."""

    fields: FieldsConfig = FieldsConfig()
    catalogue: CatalogueConfig = CatalogueConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    export: ExportConfig = ExportConfig()
    opensearch: OpenSearchConfig = OpenSearchConfig()
    ingest: IngestConfig = IngestConfig()
    search: SearchConfig = SearchConfig()
    serve: ServeConfig = ServeConfig()  # noqa: RUF009 - it is frozen
    given: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """What the file and the environment set, by section."""


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read clipita.toml (when there is one) and the environment.

    Args:
        path: the file; None means `clipita.toml` in the current folder, which may be absent.
        environ: stands for os.environ.

    Raises:
        ConfigError: the named file is missing or not TOML, or holds an unknown section or key or a wrong type.
    """
    file = path or Path(CONFIG_FILE)
    tables = {} if path is None and not file.exists() else read_file(file)
    base = (path or Path(CONFIG_FILE)).parent
    environ = os.environ if environ is None else environ
    known = sections()
    where = str(path or CONFIG_FILE)
    for name in tables:
        check_known(name, known, f"{where}: unknown section [{name}]")
    given = {
        name: read_table(kind, tables.get(name, {}), f"{where} [{name}]", base) | read_environment(kind, name, environ)
        for name, kind in known.items()
    }
    return Config(**{name: kind(**given[name]) for name, kind in known.items()}, given=given)


def override(section: Any, **flags: Any) -> Any:
    """A copy of a settings object in which every flag that is neither None nor empty takes the value's place."""
    return dataclasses.replace(section, **{name: value for name, value in flags.items() if value not in (None, ())})


def sections() -> dict[str, type]:
    """The sections of clipita.toml and their classes."""
    return {name: kind for name, kind in typing.get_type_hints(Config).items() if name != "given"}

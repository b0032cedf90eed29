"""Settings: clipita.toml, environment variables and flags become frozen dataclasses.

Order of precedence: flag > environment > file > default. An environment variable is named
`CLIPITA_<SECTION>_<KEY>`, for instance `CLIPITA_OPENSEARCH_URL`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clipita.errors import ConfigError

CONFIG_FILE = "clipita.toml"
SECRETS = {
    "password": "Set CLIPITA_OPENSEARCH_PASSWORD or password_file.",
    "client_key_password": "Set CLIPITA_OPENSEARCH_CLIENT_KEY_PASSWORD.",
    "api_key": "Set CLIPITA_SERVE_API_KEY or api_key_file.",
}
"""Keys that may stand in the environment only."""

QUERY_TEMPLATES = (
    "buy {} online",
    "{} for women",
    "{} for men",
    "a photo of {}",
    "picture of {}",
    "cheap {}",
    "best {}",
    "shop for {}",
    "{} sale",
    "{} in style",
    "new {}",
    "looking for {}",
)


@dataclass(frozen=True)
class FieldsConfig:
    """Which column of the catalogue is what.

    `attributes` names columns: a map or struct column gives one attribute a key, any other column gives one
    attribute under its own name. `category_separator` splits a category path that is one string.
    """

    id: str = "product_id"
    title: str = "title"
    category_path: str = "category_path"
    category_separator: str = " > "
    attributes: tuple[str, ...] = ("attributes",)
    image: str = "image"


@dataclass(frozen=True)
class CatalogueConfig:
    """Where the catalogue is. `image_root` resolves relative image paths; default: the catalogue file's folder.

    Pictures by URL are fetched from public addresses, and from the private hosts that `allow_private_hosts` names
    (names, addresses, networks such as 10.1.0.0/16). They are kept in `image_cache`, up to `image_cache_gb`.
    """

    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    image_root: Path | None = None
    allow_private_hosts: tuple[str, ...] = ()
    image_cache: Path = Path(".clipita/images")
    image_cache_gb: float = 10.0


@dataclass(frozen=True)
class ModelConfig:
    """Towers and heads. `tower_config` is an open_clip model config file and takes the place of `tower`.

    `heads` are `residual` (corrections of the pretrained text space) or `plain` (the paper's). Towers that learn
    themselves always have plain ones.
    """

    tower: str = "ViT-B-32"
    pretrained: str | None = "laion2b_s34b_b79k"
    tower_config: Path | None = None
    modalities: str = "ITA"
    heads: Literal["residual", "plain"] = "residual"
    dim: int = 384
    hidden: int = 512
    dropout: float = 0.1


@dataclass(frozen=True)
class TrainingConfig:
    """How the model is trained. With `unfreeze` or `lora_rank` the towers learn too, and nothing is cached.

    `device` is `cpu`, `cuda` or `cuda:N`; the result does not depend on it but for rounding.

    `setup` says which categories of its path a product is labelled with, as the CLIP-ITA paper has it.
    """

    setup: Literal["all", "general", "specific"] = "all"
    loss: Literal["tree", "infonce"] = "tree"
    epochs: int = 15
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    modality_dropout: float = 0.3
    balance: float = 0.5
    distillation: float = 0.1
    query_templates: tuple[str, ...] = QUERY_TEMPLATES
    patience: int = 6
    seed: int = 0
    unfreeze: bool = False
    device: str = "cpu"
    lora_rank: int = 0
    lora_alpha: float = 16.0
    run: Path = Path("runs/clip-ita")
    cache: Path = Path(".clipita/features")

    @property
    def learns_towers(self) -> bool:
        """Whether the towers' weights change."""
        return self.unfreeze or self.lora_rank > 0


@dataclass(frozen=True)
class ExportConfig:
    """The ONNX bundle.

    `parity` is the lowest cosine between PyTorch and ONNX that passes in fp32; `max_loss` is how many points of
    R-precision an export may lose. Lower precisions are compared on `retrieval_products` products.
    """

    bundle: Path = Path("model")
    precision: Literal["fp32", "fp16", "bf16", "int8", "int8-static"] = "fp32"
    parity: float = 0.9999
    parity_products: int = 256
    max_loss: float = 0.5
    retrieval_products: int = 2000


@dataclass(frozen=True)
class OpenSearchConfig:
    """The cluster. Without `url` the local node that `clipita opensearch start` started is used.

    The password is read from the environment variable CLIPITA_OPENSEARCH_PASSWORD, a `password_file` or the system's
    keyring (`password_keyring` names the service), never from the command line, which other users of a machine can
    see. `aws_region` has requests signed with AWS credentials instead. `allowed_hosts` lists the only hosts to connect
    to. `require_tls` keeps passwords from travelling unencrypted to another machine.
    """

    # Not in the repr: it may hold a user and a password.
    url: str | None = field(default=None, repr=False)
    index: str = "products"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    password_keyring: str | None = None
    aws_region: str | None = None
    ca_certs: Path | None = None
    verify_certs: bool = True
    client_cert: Path | None = None
    client_key: Path | None = None
    client_key_password: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    require_tls: bool = True
    timeout: float = 30.0
    home: Path = Path(".clipita/opensearch")


@dataclass(frozen=True)
class IngestConfig:
    """How products are written.

    `thumbnails` keeps a small JPEG in documents whose image came as bytes. `bulk_documents` is the most that one bulk
    request holds, `bulk_threads` how many are sent at once, `fetch_threads` how many pictures are fetched at once.
    `patience` is how many seconds in a row a busy or absent cluster is waited for. `prune_limit` is the largest share
    of an index that is removed without being forced.
    `runner` says where products are encoded: in this process, or by `ray_encoders` on the machines of a Ray cluster.
    """

    batch_size: int = 64
    device: str = "cpu"
    engine: Literal["auto", "lucene", "faiss"] = "auto"
    precision: Literal["fp32", "fp16", "byte", "binary"] = "fp32"
    m: int | None = None
    ef_construction: int | None = None
    shards: int = 1
    replicas: int = 0
    thumbnails: bool = True
    bulk_documents: int = 500
    bulk_threads: int = 2
    fetch_threads: int = 32
    patience: float = 120.0
    prune_limit: float = 0.1
    runner: Literal["local", "ray"] = "local"
    ray_encoders: int | None = None
    rejected: Path = Path("rejected.jsonl")


@dataclass(frozen=True)
class SearchConfig:
    """Category search. score = (1 - weight) * bm25 / (bm25 + pivot) + weight * cosine."""

    mode: Literal["lexical", "vector", "hybrid"] = "hybrid"
    fusion: Literal["saturation", "min_max", "rrf"] = "saturation"
    weight: float = 0.8
    pivot: float = 10.0
    k: int = 400
    size: int = 24
    fields: tuple[str, ...] = ("title",)
    boosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServeConfig:
    """`clipita serve`. The key is read from CLIPITA_SERVE_API_KEY or `api_key_file`.

    `queue` is how many texts or products may wait for the model, and `max_requests` how many requests may be under
    way; what comes on top is answered with 503. `request_timeout` and `drain` (for what runs at a stop) are seconds,
    and so is `fresh_seconds`: how long a search's answer is given again to the same request; 0 asks the cluster always.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    cors_origins: tuple[str, ...] = ()
    batch_size: int = 32
    queue: int = 256
    max_requests: int = 256
    request_timeout: float = 30.0
    drain: float = 30.0
    fresh_seconds: float = 0.0


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
    serve: ServeConfig = ServeConfig()


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read clipita.toml (when there is one) and the environment.

    Args:
        path: the file; None means `clipita.toml` in the current folder, which may be absent.
        environ: stands for os.environ.

    Raises:
        ConfigError: the named file is missing or not TOML, or holds an unknown section or key or a wrong type.
    """
    tables = _read_tables(path)
    base = (path or Path(CONFIG_FILE)).parent
    environ = os.environ if environ is None else environ
    known: dict[str, type] = typing.get_type_hints(Config)
    where = str(path or CONFIG_FILE)
    for name in tables:
        _check_known(name, known, f"{where}: unknown section [{name}]")
    sections = {}
    for name, section_type in known.items():
        values = _section_from_file(section_type, tables.get(name, {}), f"{where} [{name}]", base)
        values |= _section_from_environment(section_type, name, environ)
        sections[name] = section_type(**values)
    return Config(**sections)


def override(section: Any, **flags: Any) -> Any:
    """A copy of a section in which every flag that was given (is not None) takes the value's place."""
    given = {name: value for name, value in flags.items() if value is not None}
    return dataclasses.replace(section, **given)


def _read_tables(path: Path | None) -> dict[str, Any]:
    file = path or Path(CONFIG_FILE)
    if path is None and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {file}.", hint="Write one with: clipita init") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from error


def _check_known(name: str, known: Mapping[str, Any], complaint: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(f"{complaint}.", hint=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}.")


def _section_from_file(section_type: type, table: Any, where: str, base: Path) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table.")
    hints = typing.get_type_hints(section_type)
    values = {}
    for key, value in table.items():
        _check_known(key, hints, f"{where}: unknown key {key}")
        if key in SECRETS:
            raise ConfigError(f"{where}: a {key} does not belong in this file.", hint=SECRETS[key])
        if key == "url" and _has_password(value):
            raise ConfigError(f"{where} url: a password does not belong in this file.", hint=SECRETS["password"])
        converted = _convert(value, hints[key], f"{where} {key}")
        values[key] = base / converted if isinstance(converted, Path) else converted
    return values


def _has_password(url: Any) -> bool:
    return isinstance(url, str) and "@" in url and ":" in url.rpartition("@")[0].partition("://")[2]


def _section_from_environment(section_type: type, name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for key, hint in typing.get_type_hints(section_type).items():
        variable = f"CLIPITA_{name}_{key}".upper()
        if variable in environ:
            values[key] = _convert(_parse_text(environ[variable], hint), hint, variable)
    return values


def _parse_text(text: str, hint: Any) -> Any:
    """An environment variable's text as the type that the setting has; unusable text is left for _convert to refuse."""
    options = _options(hint)
    if bool in options and text.lower() in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        return text.lower() in {"1", "true", "yes", "on"}
    if tuple in {typing.get_origin(option) for option in options}:
        return [part.strip() for part in text.split(",") if part.strip()]
    for number in (int, float):
        if number in options:
            try:
                return number(text)
            except ValueError:
                continue
    return text


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _convert(value: Any, hint: Any, where: str) -> Any:
    for option in _options(hint):
        if typing.get_origin(option) is Literal:
            if value in typing.get_args(option):
                return value
            raise ConfigError(f"{where} is {value!r}.", hint=f"Use one of: {', '.join(typing.get_args(option))}.")
        if typing.get_origin(option) is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if option is Path and isinstance(value, str):
            return Path(value).expanduser()
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(option, type) and isinstance(value, option) and not (option is int and isinstance(value, bool)):
            return value
    raise ConfigError(f"{where} is {value!r}, which has the wrong type.", hint=f"Expected: {_describe(hint)}.")


def _describe(hint: Any) -> str:
    names = []
    for option in _options(hint):
        if option is type(None):
            continue
        if option is Path:
            names.append("a path")
        elif typing.get_origin(option) is tuple:
            names.append("a list of strings")
        else:
            names.append(getattr(option, "__name__", str(option)))
    return " or ".join(names)

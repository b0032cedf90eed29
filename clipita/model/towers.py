"""The pretrained encoders, through open_clip: any model tag, a local config file and checkpoint, HF and timm towers."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clipita.config import ModelConfig
from clipita.errors import MissingExtraError, TrainingError
from clipita.model.tokenizer import convert_tokenizer
from clipita.runtime.preprocess import ImageSpec, Tokenizer

try:
    import open_clip
    from open_clip.hf_model import HFTextEncoder
    from open_clip.transformer import TextTransformer, text_global_pool
except ImportError:
    raise MissingExtraError("open_clip_torch", "train") from None


_UNREACHABLE = ("Failed to download", "cannot find the requested files", "couldn't connect to")
"""What open_clip, huggingface_hub and transformers say when weights cannot be fetched."""


@dataclass(frozen=True)
class TowerSource:
    """Where towers come from.

    Attributes:
        tower: open_clip model name, or a schema such as `local-dir:` or `hf-hub:`.
        pretrained: weights tag or checkpoint file, or None.
        config: an open_clip model config (the content of its JSON file), or None for a built-in model.
    """

    tower: str
    pretrained: str | None
    config: dict[str, Any] | None

    @classmethod
    def from_config(cls, model: ModelConfig) -> TowerSource:
        """Read the settings' `tower`, `pretrained` and `tower_config`.

        Raises:
            TrainingError: the config file is missing or is not an open_clip model config.
        """
        if model.tower_config is None:
            return cls(model.tower, model.pretrained, None)
        try:
            content = json.loads(model.tower_config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(f"The tower config {model.tower_config} cannot be read: {error}.") from error
        if "vision_cfg" not in content.get("model_cfg", content):
            raise TrainingError(
                f"{model.tower_config} is not an open_clip model config: it has no vision_cfg.",
                hint="See open_clip's model_configs/*.json for the layout.",
            )
        text = content.get("model_cfg", content)["text_cfg"]
        for key in ("hf_model_name", "hf_tokenizer_name"):
            # Hugging Face folders are relative to the config file; hub names stay.
            folder = model.tower_config.parent / str(text.get(key, ""))
            if key in text and folder.is_dir():
                text[key] = str(folder.resolve())
        # A tag belongs to a built-in model; beside a config file only a checkpoint makes sense.
        checkpoint = model.pretrained if model.pretrained and Path(model.pretrained).is_file() else None
        return cls(model.tower_config.stem, checkpoint, content)

    @property
    def pretrained_text(self) -> bool:
        """Whether the text tower's weights come from somewhere."""
        text = (self.config or {}).get("model_cfg", self.config or {}).get("text_cfg", {})
        return self.is_schema or self.pretrained is not None or "hf_model_name" in text

    @property
    def is_schema(self) -> bool:
        """Whether `tower` says by itself where config and weights are."""
        return ":" in self.tower and self.config is None


class Towers(nn.Module):
    """An image and a text encoder with their preprocessing; `image_dim` and `text_dim` are the features' lengths."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, model: Any, source: TowerSource, tokenizer: Tokenizer, image_spec: ImageSpec) -> None:
        super().__init__()
        self.source = source
        # Images arrive as [B, H, W, 3]; convolutions that keep this order run up to twice as fast on a CPU.
        self.image = model.visual.to(memory_format=torch.channels_last)
        self.text = model.text
        self.tokenizer = tokenizer
        self.image_spec = image_spec
        self.register_buffer("image_mean", torch.tensor(image_spec.mean), persistent=False)
        self.register_buffer("image_std", torch.tensor(image_spec.std), persistent=False)
        self.eval()
        with torch.no_grad():
            blank = torch.zeros((1, image_spec.height, image_spec.width, 3), dtype=torch.uint8)
            self.image_dim = self.encode_image(blank).shape[1]
            self.text_dim = self.encode_text(torch.from_numpy(tokenizer(["a"]))).shape[1]

    @property
    def shared_space(self) -> bool:
        """Whether images and texts were pretrained into one space, as CLIP's are."""
        return self.image_dim == self.text_dim and (self.source.pretrained is not None or self.source.is_schema)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Unit features of images: uint8 [B, H, W, 3] -> float32 [B, image_dim].

        Scaling and normalisation happen here, hence inside the exported graph.
        """
        scaled = (pixels.to(torch.float32) / 255.0 - self.image_mean) / self.image_std
        return nn.functional.normalize(self.image(scaled.permute(0, 3, 1, 2)), dim=-1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Unit features of texts: int64 [B, L], L up to the context length -> float32 [B, text_dim]."""
        return nn.functional.normalize(text_forward(self.text, ids), dim=-1)

    def weights_hash(self) -> str:
        """SHA-256 over all weights, 64 hex digits: tells whether cached features are valid."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def build_towers(source: TowerSource, seed: int = 0) -> Towers:
    """Create the towers and load their weights; the seed is for weights that no checkpoint holds.

    Raises:
        TrainingError: the name is unknown, or the weights cannot be loaded.
    """
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder, _quiet_libraries():
        name, preprocess = _register(source, Path(folder))
        try:
            model = open_clip.create_model(
                name,
                pretrained=source.pretrained,
                force_custom_text=True,
                force_preprocess_cfg=preprocess,
                pretrained_text=source.pretrained_text,
            )
            tokenizer = open_clip.get_tokenizer(name)
        except Exception as error:
            # A checkpoint is a file of others: torch and safetensors raise nearly any type on a damaged one.
            raise _not_built(source, error) from error
    if not hasattr(model, "text"):
        raise TrainingError(f"The tower {source.tower} has no separate text encoder.")
    length = int(min(tokenizer.context_length, model.text.context_length or tokenizer.context_length))
    converted = convert_tokenizer(tokenizer, length, ignores_padding=_ignores_padding(model.text))
    return Towers(model, source, converted, _image_spec(open_clip.get_model_preprocess_cfg(model)))


def _not_built(source: TowerSource, error: Exception) -> TrainingError:
    if any(words in str(error) for words in _UNREACHABLE):
        weights = f"The weights {source.pretrained} of {source.tower}" if source.pretrained else source.tower
        return TrainingError(
            f"{weights} cannot be downloaded: the model hub does not answer, and they are not in its cache.",
            hint="The first use of a name needs the hub. Without it, name local weights: --pretrained FILE, or "
            "--tower local-dir:/path.",
        )
    if isinstance(error, pickle.UnpicklingError | EOFError):
        return TrainingError(
            f"The weights {source.pretrained} cannot be loaded: the file is damaged, or holds pickled objects other "
            "than weights, which could run code.",
            hint="Save the weights alone: torch.save(model.state_dict(), FILE), or as safetensors.",
        )
    return TrainingError(
        f"The tower {source.tower} cannot be built: {error}",
        hint="`python -c 'import open_clip; print(open_clip.list_pretrained())'` lists names and tags.",
    )


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the libraries' notes, progress bars and copies of the errors that they raise off stderr."""
    from transformers.utils import logging as transformers_logging

    verbosity, level = transformers_logging.get_verbosity(), logging.root.manager.disable
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)
        transformers_logging.set_verbosity(verbosity)
        transformers_logging.enable_progress_bar()


def text_forward(tower: nn.Module, ids: Tensor) -> Tensor:
    """A text tower's output, without the padding that the batch does not need.

    open_clip's TextTransformer takes the full context only. Its causal mask and its pooling at the end-of-text token
    make later positions irrelevant, so a shorter sequence gives the same result. int64 [B, L] -> float32 [B, F], not
    normalised.
    """
    if not (isinstance(tower, TextTransformer) and _ignores_padding(tower)):
        output: Tensor = tower(ids)
        return output
    length = ids.shape[1]
    hidden = tower.token_embedding(ids) + tower.positional_embedding[:length]
    hidden = tower.transformer(hidden, attn_mask=tower.attn_mask[:length, :length])
    pooled = text_global_pool(
        tower.ln_final(hidden), ids, pool_type=tower.pool_type, eos_token_id=getattr(tower, "eos_id", None)
    )
    if isinstance(tower.text_projection, nn.Linear):
        pooled = tower.text_projection(pooled)
    elif tower.text_projection is not None:
        pooled = pooled @ tower.text_projection
    result: Tensor = pooled
    return result


def _ignores_padding(tower: nn.Module) -> bool:
    if isinstance(tower, HFTextEncoder):
        return True  # masks padding by itself
    return (
        isinstance(tower, TextTransformer)
        and tower.attn_mask is not None
        and tower.cls_emb is None
        and tower.pool_type in {"argmax", "eos"}
    )


def _register(source: TowerSource, folder: Path) -> tuple[str, dict[str, Any] | None]:
    """Register a config with open_clip; returns the model's name and the config's preprocessing."""
    if source.config is None:
        return source.tower, None
    content = source.config
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    file = folder / f"{source.tower}-{digest}.json"
    file.write_text(json.dumps(content.get("model_cfg", content)), encoding="utf-8")
    open_clip.add_model_config(file)
    return file.stem, content.get("preprocess_cfg")


def _image_spec(preprocess: dict[str, Any]) -> ImageSpec:
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else size
    return ImageSpec(
        height=int(height),
        width=int(width),
        resize=preprocess.get("resize_mode") or "shortest",
        interpolation="bilinear" if preprocess.get("interpolation") == "bilinear" else "bicubic",
        fill=int(preprocess.get("fill_color") or 0),
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
    )

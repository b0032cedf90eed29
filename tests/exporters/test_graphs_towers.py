"""Every family of towers that training accepts exports and agrees with PyTorch; small, with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipita.exporters.graphs import export_product, export_text
from clipita.model.clip_ita import ClipIta, tree_loss
from clipita.model.lora import install, is_adapter, remove
from clipita.model.towers import Towers, TowerSource, build_towers
from clipita.runtime.inputs import ProductInput, assemble

TEXT = {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}


def vit(_: Path) -> dict[str, Any]:
    return {"embed_dim": 32, "vision_cfg": VIT, "text_cfg": TEXT}


def resnet(_: Path) -> dict[str, Any]:
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 8, "patch_size": None}
    return {"embed_dim": 32, "vision_cfg": vision, "text_cfg": TEXT}


def map_pooled(_: Path) -> dict[str, Any]:
    """SigLIP's parts: timm ViT with attention pooling; unmasked text pooled at the last position, padded in full."""
    text = TEXT | {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
    vision = {"image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_pool": "map", "timm_proj": "none"}
    vision |= {"timm_model_pretrained": False}
    return {"embed_dim": 192, "custom_text": True, "vision_cfg": vision, "text_cfg": text}


def timm(_: Path) -> dict[str, Any]:
    vision = {"image_size": 32, "timm_model_name": "tf_efficientnet_lite0", "timm_pool": "avg", "timm_proj": "none"}
    return {"embed_dim": 32, "vision_cfg": vision | {"timm_model_pretrained": False}, "text_cfg": TEXT}


def hugging_face(folder: Path) -> dict[str, Any]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "dress", "running", "shoes", "kite", "colour", ":"]
    backend = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    specials = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=backend, **specials).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    text = {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder), "hf_proj_type": None}
    text |= {"hf_pooler_type": "mean_pooler", "context_length": 24}
    return {"embed_dim": 32, "custom_text": True, "vision_cfg": VIT, "text_cfg": text}


FAMILIES = [vit, resnet, map_pooled, timm, hugging_face]


@pytest.fixture(params=FAMILIES, ids=lambda family: family.__name__)
def towers(request: pytest.FixtureRequest, tmp_path: Path) -> Towers:
    family: Callable[[Path], dict[str, Any]] = request.param
    (tmp_path / "tower").mkdir()
    config = json.loads(json.dumps(family(tmp_path / "tower")))
    return build_towers(TowerSource(family.__name__, None, config))


@pytest.mark.slow
def test_a_family_exports_and_agrees(towers: Towers, tmp_path: Path) -> None:
    assert_export_agrees(ClipIta(towers, "ITA", dim=16, hidden=32).eval(), tmp_path)


@pytest.mark.slow
def test_a_family_with_merged_adapters_exports_and_agrees(towers: Towers, tmp_path: Path) -> None:
    install(towers, rank=4, alpha=16)
    stir(towers)
    remove(towers, rank=4, alpha=16).merge(towers)
    assert_export_agrees(ClipIta(towers, "ITA", dim=16, hidden=32).eval(), tmp_path)


def test_a_familys_adapters_learn_and_nothing_below_them(towers: Towers) -> None:
    for name, value in towers.named_parameters():
        if name.endswith("bn3.weight"):  # open_clip's ResNets start these at zero, and nothing below them would learn
            torch.nn.init.ones_(value)
    base = {name: value.clone() for name, value in towers.state_dict().items()}
    came = towers.weights_hash()
    install(towers, rank=4, alpha=16)
    torch.manual_seed(0)
    model = ClipIta(towers, "ITA", dim=16, hidden=32, dropout=0, heads="plain").train()
    towers.eval()
    batch = tensors_of(towers)
    learning = {name: value for name, value in model.named_parameters() if value.requires_grad}
    # Short steps straight downhill: random towers give all texts nearly one vector, and the slopes there are steep.
    optimizer = torch.optim.SGD(learning.values(), lr=0.001)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        products = model.product(model.product_features(**batch))
        queries = model.query(towers.encode_text(torch.from_numpy(towers.tokenizer(["dress", "shoes", "red kite"]))))
        loss = tree_loss(products, queries, torch.eye(4, 3).bool() | (torch.arange(4) == 3)[:, None], model.scale)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning.values(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    halves = {name for name in learning if is_adapter(name)}
    assert {name for name in learning if name.startswith("towers.")} == halves
    silent = {name for name in halves if learning[name].grad is None or not learning[name].grad.any()}
    assert not silent, "adapters that the tower never reads"
    assert all(value.grad is None for name, value in model.named_parameters() if name not in learning)

    stir(towers)
    with torch.no_grad():
        adapted = model.product(model.product_features(**batch))
        adapters = remove(towers, rank=4, alpha=16)
        assert adapters.base == came
        assert all(torch.equal(value, base[name]) for name, value in towers.state_dict().items())
        plain = model.product(model.product_features(**batch))
        adapters.merge(towers)
        merged = model.product(model.product_features(**batch))
    assert not torch.allclose(plain, adapted, atol=1e-3)
    torch.testing.assert_close(merged, adapted, atol=1e-5, rtol=0)
    assert towers.state_dict().keys() == base.keys()


def stir(towers: Towers) -> None:
    """Give adapters, which start at zero, something to say."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in towers.named_parameters():
            if is_adapter(name):
                value.normal_(std=0.05)


def tensors_of(towers: Towers) -> dict[str, torch.Tensor]:
    inputs = inputs_of(towers.image_spec.height)
    tensors = assemble(inputs, towers.image_spec, towers.tokenizer)
    return {name: torch.from_numpy(value) for name, value in tensors.items()}


def assert_export_agrees(model: ClipIta, tmp_path: Path) -> None:
    import onnxruntime

    towers = model.towers
    inputs = inputs_of(towers.image_spec.height)
    feature = np.full(towers.text_dim, 0.1, dtype=np.float32)
    known = {"colour: red": feature, "colour: blue": feature}
    tensors = assemble(inputs, towers.image_spec, towers.tokenizer, known)
    example = {name: torch.from_numpy(value) for name, value in tensors.items()}
    export_product(model, example, tmp_path / "product.onnx")
    export_text(model, tmp_path / "text.onnx")
    product = onnxruntime.InferenceSession(tmp_path / "product.onnx", providers=["CPUExecutionProvider"])
    text = onnxruntime.InferenceSession(tmp_path / "text.onnx", providers=["CPUExecutionProvider"])
    for batch in (inputs, inputs[:1], inputs[1:], [*inputs, *inputs]):
        tensors = assemble(batch, towers.image_spec, towers.tokenizer, {}, towers.text_dim)
        feeds = {entry.name: tensors[entry.name] for entry in product.get_inputs()}
        plain = assemble(batch, towers.image_spec, towers.tokenizer)
        with torch.no_grad():
            features = model.product_features(**{name: torch.from_numpy(value) for name, value in plain.items()})
            expected = model.product(features).numpy()
        np.testing.assert_allclose(product.run(["vector"], feeds)[0], expected, atol=2e-5)
    for texts in (["red dress"], ["kite", "running shoes " * 30, ""]):
        ids = towers.tokenizer(texts)
        with torch.no_grad():
            expected = model.query(towers.encode_text(torch.from_numpy(ids))).numpy()
        np.testing.assert_allclose(text.run(["vector"], {"ids": ids})[0], expected, atol=2e-5)


def inputs_of(side: int) -> list[ProductInput]:
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    return [
        ProductInput("red dress with long sleeves", ("colour: red", "kite", "dress: red"), tuple(pixels)),
        ProductInput("running shoes", ("colour: blue", "shoes"), (pixels[1],)),
        ProductInput(None, (), (pixels[1],)),
        ProductInput("kite", ("colour: red",)),
    ]

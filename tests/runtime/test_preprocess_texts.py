"""Our torch-free tokenisation against open_clip's own, string by string."""

from __future__ import annotations

import html
import json
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipita.model.tokenizer import convert_tokenizer
from clipita.runtime.preprocess import CLEANERS, Tokenizer

CONTEXT = 77
HARD = [
    "",
    " ",
    "\t\n",
    "👟 running shoes 👩‍👩‍👧",
    "Größe XL – naïve café ﬁne",
    "Tom &amp; Jerry &lt;b&gt; &amp;amp; &#39;quoted&#39;",
    "word " * 500,
    "x" * 3000,
    "don't they're I'll we'd it's I'M",
    "<|startoftext|> in the middle <|endoftext|> of it",
    "<start_of_text> and <end_of_text>",
    "3-Pack 100% cotton (size: 42/44) @£$€",
    "連衣裙 ドレス 원피스 платье فستان ชุดเดรส",
    "İstanbul ẞ ǆ ſ",
    "âœ” mojibake Ã©",
    "a\u00a0b\u200bc\u3000d\ufeffe",
    "_under_score_ --dashes-- ...dots...",
    "e\u0301 decomposed",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "\x00\x01 control",
]
# Code points without a meaning yet are left out: whether one is a letter depends on the Unicode tables' age, and
# open_clip's (the `regex` package) count U+3D000 as one.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=200)
SHOP_TEXT = st.text(st.sampled_from(string.ascii_letters + string.digits + " '’&;#<|>_-/%.éß👟中\n"), max_size=200)


@pytest.fixture(scope="module")
def clip() -> tuple[Any, Tokenizer]:
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=CONTEXT)
    return tokenizer, convert_tokenizer(tokenizer, CONTEXT, ignores_padding=False)


@pytest.fixture(scope="module")
def word_piece(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tokenizer]:
    """A Hugging Face BERT tokenizer with a vocabulary of its own: none can be fetched offline."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(set(string.printable) - set(string.whitespace)) + list("éßöüäàñç中衣")
    words = ["running", "shoes", "dress", "red", "size", "##s", "##es", "##ing", "cotton", "pack"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *words]
    backend = Backend(
        models.WordPiece({piece: number for number, piece in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]")
    )
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("word-piece")
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), context_length=32)
    return tokenizer, convert_tokenizer(tokenizer, 32, ignores_padding=False)


@pytest.fixture(scope="module", params=["clip", "word_piece"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Tokenizer]:
    found: tuple[Any, Tokenizer] = request.getfixturevalue(request.param)
    return found


def differing(pair: tuple[Any, Tokenizer], texts: Sequence[str]) -> list[str]:
    theirs, ours = pair
    left, right = theirs(list(texts)).numpy(), ours(texts)
    assert left.shape == right.shape
    return [text for text, one, other in zip(texts, left, right, strict=True) if not np.array_equal(one, other)]


def rows_of(fashion: Path, names: Iterable[str]) -> list[str]:
    texts: set[str] = set()
    for name in names:
        for row in pq.read_table(
            fashion / f"{name}.parquet", columns=["title", "category_path", "attributes"]
        ).to_pylist():
            texts.update([row["title"] or "", *row["category_path"]])
            texts.update(f"{key}: {value}" for key, value in row["attributes"])
    return sorted(texts)


@pytest.mark.parametrize("text", HARD)
def test_hard_cases(pair: tuple[Any, Tokenizer], text: str) -> None:
    assert differing(pair, [text]) == []


def test_real_titles_categories_and_attributes(pair: tuple[Any, Tokenizer], fashion: Path) -> None:
    texts = rows_of(fashion, ["test"])
    assert len(texts) > 3000
    assert differing(pair, texts) == []


@pytest.mark.slow
def test_the_whole_real_catalogue(pair: tuple[Any, Tokenizer], fashion: Path) -> None:
    texts = rows_of(fashion, ["train", "valid", "test"])
    assert len(texts) > 25_000
    assert differing(pair, texts) == []


@given(st.one_of(TEXT, SHOP_TEXT))
@settings(max_examples=200, deadline=None)
def test_any_text_of_clip(clip: tuple[Any, Tokenizer], text: str) -> None:
    assert differing(clip, [text]) == []


@given(st.text(st.characters(codec="ascii"), max_size=60))
@settings(max_examples=500, deadline=None)
def test_plain_ascii_is_cleaned_as_ftfy_would(text: str) -> None:
    """The cleaning passes such texts by ftfy."""
    mended = " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())
    assert CLEANERS["whitespace"](text) == mended


@given(st.one_of(TEXT, SHOP_TEXT))
@settings(max_examples=100, deadline=None)
def test_any_text_of_word_piece(word_piece: tuple[Any, Tokenizer], text: str) -> None:
    assert differing(word_piece, [text]) == []


def test_padding_is_cut_to_the_longest_of_the_batch(clip: tuple[Any, Tokenizer]) -> None:
    ours = convert_tokenizer(clip[0], CONTEXT, ignores_padding=True)
    short, mixed = ours(["red shoes"]), ours(["red shoes", "a red dress with long sleeves"])
    assert short.shape == (1, 4)
    assert mixed.shape[1] > 4
    assert not mixed[0, 4:].any()
    np.testing.assert_array_equal(ours(["word " * 500]), clip[1](["word " * 500]))


def test_a_lone_surrogate_and_a_huge_text_do_not_break_it(clip: tuple[Any, Tokenizer]) -> None:
    assert clip[1](["\ud800 shoe", "shoe " * 100_000]).shape == (2, CONTEXT)

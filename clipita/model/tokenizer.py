"""An open_clip tokenizer as a tokenizer.json, so that nothing after training needs open_clip."""

from __future__ import annotations

from typing import Any, Literal

from clipita.errors import TrainingError
from clipita.runtime.preprocess import CLEANERS, TextSpec, Tokenizer

CLIP_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP splits a text before byte-pair encoding (Radford et al. 2021, the released tokenizer)."""


def convert_tokenizer(tokenizer: Any, context_length: int, *, ignores_padding: bool) -> Tokenizer:
    """Convert an open_clip tokenizer into one that needs `tokenizers` alone.

    Where the tower's output does not depend on padding (`ignores_padding`), batches are not padded to the full context.

    Raises:
        TrainingError: the `tokenizers` library has no equivalent.
    """
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    pad_to: Literal["longest", "context"] = "longest" if ignores_padding else "context"
    clean = _cleaner_of(tokenizer)
    if isinstance(tokenizer, SimpleTokenizer) and tokenizer.reduction_fn is None:
        return Tokenizer(_clip_definition(tokenizer), TextSpec(clean, context_length, 0, pad_to))
    if isinstance(tokenizer, HFTokenizer) and not tokenizer.tokenizer_mode and not tokenizer.strip_sep_token:
        backend = getattr(tokenizer.tokenizer, "backend_tokenizer", None)
        if backend is not None:
            pad_id = tokenizer.tokenizer.pad_token_id or 0
            return Tokenizer(backend.to_str(), TextSpec(clean, context_length, pad_id, pad_to))
    raise TrainingError(
        f"The tower's tokenizer ({type(tokenizer).__name__}) cannot be exported.",
        hint="Use a tower with CLIP's own tokenizer, or a Hugging Face one that has a fast version.",
    )


def _cleaner_of(tokenizer: Any) -> Literal["lower", "whitespace", "canonicalize"]:
    from open_clip.tokenizer import get_clean_fn

    for name in CLEANERS:
        if tokenizer.clean_fn is get_clean_fn(name):
            return name  # type: ignore[return-value]  # the keys are the literal's words
    raise TrainingError(f"The tower's tokenizer cleans text in an unknown way ({tokenizer.clean_fn}).")


def _clip_definition(tokenizer: Any) -> str:
    from tokenizers import AddedToken, Regex, models, pre_tokenizers, processors
    from tokenizers import Tokenizer as Backend

    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    backend = Backend(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>"))
    specials = [tokenizer.decoder[token] for token in tokenizer.all_special_ids]
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"(?i:{CLIP_PATTERN})"), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = specials[:2]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, tokenizer.sot_token_id), (end, tokenizer.eot_token_id)],
    )
    definition: str = backend.to_str()
    return definition

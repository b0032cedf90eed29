"""Where a tower's weights come from and under what licence, as far as open_clip's own records say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipita.model.towers import TowerSource

# Licences as their publishers state them; a family that is not listed is "unknown", and the shop has to look.
LICENCES = {
    "openai": "MIT (code and weights, OpenAI CLIP)",
    "laion": "MIT (weights, LAION / OpenCLIP)",
    "datacomp": "MIT (weights, DataComp)",
    "commonpool": "MIT (weights, DataComp)",
    "webli": "Apache-2.0 (weights, Google SigLIP)",
}


def provenance_of(source: TowerSource) -> dict[str, Any]:
    """`origin` and `licence` of a tower.

    Args:
        source: what the towers were built from.
    """
    if source.pretrained is None and not source.is_schema:
        if source.pretrained_text:
            return {
                "origin": "a Hugging Face text tower; random image tower",
                "licence": "unknown: see its card",
            }
        return {"origin": "random weights", "licence": "none: nothing was taken over"}
    if source.is_schema:
        return {"origin": source.tower, "licence": "unknown: see its model card"}
    tag = str(source.pretrained)
    if source.config is not None or Path(tag).is_file():
        return {"origin": f"local checkpoint {Path(tag).name}", "licence": "unknown: as its author states"}
    licence = next((text for start, text in LICENCES.items() if tag.startswith(start)), "unknown: see its model card")
    return {"origin": f"open_clip {source.tower}, tag {tag}", "licence": licence}

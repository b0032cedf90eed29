"""HTML and SVG from jinja2 templates, which lie beside the modules that fill them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(package: str, template: str, values: Mapping[str, Any]) -> str:
    """Fill a template; every value is escaped, and a name that `values` lacks is an error.

    Args:
        package: where the template lies, such as `clipita.evaluation`.
        template: the file's name.
        values: by the names that the template uses.
    """
    return _environment(package).get_template(template).render(values)


@functools.cache
def _environment(package: str) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip

"""The charts of the page as still pictures: the same specifications, drawn without a browser.

The page's style sheet gives the colours here, too: those of its light form. Nothing is fetched: specifications hold
their data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pytest_llmbench.extras import from_extra
from pytest_llmbench.redaction import redact_exact
from pytest_llmbench.reports.chart_style import CONFIG, Spec

FULL_PX, HALF_PX = 660, 318
"""Widths at which a chart's letters are as large as those of the text around it, on a page and on half of one."""
_HIGH_PX = 165
"""At most, of a picture whose height is free: three have room on a page."""
_VARIABLE = re.compile(r"var\(--([a-z-]+)\)")
_DECLARED = re.compile(r"--([a-z-]+):\s*(#[0-9a-f]{6})")
_FONT = "Liberation Sans, Arial, sans-serif"


def svg(spec: Spec, width_px: int = FULL_PX) -> str:
    """A chart as SVG.

    Args:
        spec: a Vega-Lite specification with its data inside.
        width_px: of the picture.

    Raises:
        MissingExtraError: the library that draws is not installed.
    """
    convert = from_extra("vl_convert", "pdf")
    drawn: str = convert.vegalite_to_svg(redact_exact(json.dumps(still(spec, width_px))), allowed_base_urls=[])
    return drawn


def still(spec: Spec, width_px: int) -> Spec:
    """The specification with a width and colours of its own, where the page gives them."""
    found: Spec = _resolved(spec)
    if _is_free(found) and isinstance(found.get("height"), int):
        found = {**found, "height": min(found["height"], _HIGH_PX)}
    return {**found, "width": width_px, "config": {**found.get("config", CONFIG), "font": _FONT}}


def _is_free(spec: Spec) -> bool:
    """Whether heights stand for numbers; else there is a lane for each name, and each needs its own."""
    return any(
        layer.get("encoding", {}).get("y", {}).get("type") == "quantitative" for layer in spec.get("layer", [spec])
    )


@cache
def colours() -> Mapping[str, str]:
    """Name → colour of the page's light form: `ink` → `#1c2126`."""
    sheet = (files("pytest_llmbench") / "data" / "report.css").read_text(encoding="utf-8")
    return dict(_DECLARED.findall(sheet.partition("}")[0]))


def _resolved(value: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: colours()[found[1]], value)
    if isinstance(value, list | tuple):
        return [_resolved(each) for each in value]
    if isinstance(value, Mapping):
        return {key: each if key == "data" else _resolved(each) for key, each in value.items()}
    return value

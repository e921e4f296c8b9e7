"""The demo form of every profile: sizes for demonstrations and CI, fixed in this one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEMO: Mapping[str, Mapping[str, Any]] = {
    "interactive": {"rounds": 2},
    "long_context": {"sizes": (512, 1024, 2048), "depths": (0.0, 0.5, 1.0), "most_rounds": 1},
    "batch": {"documents": 6, "output_tokens": 64},
    "quality": {"items": 20, "output_tokens": 96},
    "stress": {"seconds": 15},
    "load": {"levels": (1, 4), "requests": 8, "output_tokens": 32},
}
"""Profile → the choices that its demo form makes; a test's own choices come first.

A matrix of five small models takes some quarter of an hour with these on two cores that write 40 to 80 tokens a second:
half of it is reading texts, so that a size more of `long_context` would double that; no right answer of the models that
it was tried with was longer than 50 tokens, and what rambles is cut off.
"""

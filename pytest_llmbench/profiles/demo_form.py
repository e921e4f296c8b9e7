"""The demo form of every profile: sizes for demonstrations and CI, fixed in this one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEMO: Mapping[str, Mapping[str, Any]] = {
    "interactive": {"rounds": 2},
    "long_context": {"sizes": (1024, 2048, 4096), "depths": (0.0, 0.5, 1.0), "most_rounds": 1},
    "batch": {"documents": 6},
    "quality": {"items": 20},
    "stress": {"seconds": 15},
    "load": {"levels": (1, 4), "requests": 8, "output_tokens": 32},
}
"""Profile → the choices that its demo form makes; a test's own choices come first."""

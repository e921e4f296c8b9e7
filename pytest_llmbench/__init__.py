"""Evaluate and benchmark language models with pytest: quality, speed and cost of the same call in one record.

The public names; everything else may change. They load at first use, so that importing the package costs nothing.

PYTEST_DONT_REWRITE: `llmbench run` has imported this module before pytest starts, which pytest would warn about.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmbench.errors import (
        GroundTruthWarning,
        InconclusiveWarning,
        InfraError,
        LlmbenchError,
        ReplyFormatError,
        UsageError,
    )
    from pytest_llmbench.records import Measurement, Reply, Score, Series
    from pytest_llmbench.results.paired_differences import paired_difference
    from pytest_llmbench.results.pass_rates import pass_rate
    from pytest_llmbench.results.rankings import ranking
    from pytest_llmbench.validators.own import validator

__version__ = "0.1.0"

__all__ = [
    "GroundTruthWarning",
    "InconclusiveWarning",
    "InfraError",
    "LlmbenchError",
    "Measurement",
    "Reply",
    "ReplyFormatError",
    "Score",
    "Series",
    "UsageError",
    "__version__",
    "paired_difference",
    "pass_rate",
    "ranking",
    "validator",
]

_HOMES = {
    **dict.fromkeys(("Measurement", "Reply", "Score", "Series"), "records"),
    "paired_difference": "results.paired_differences",
    "pass_rate": "results.pass_rates",
    "ranking": "results.rankings",
    "validator": "validators.own",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return __all__

"""The rubrics that come with the package, as people may copy them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.judges import rubric_reading
from pytest_llmbench.judges.rubric import Rubric

SHIPPED = ("coherence", "factuality", "helpfulness", "instruction-following", "politeness", "safety")
ORIGIN = "shipped"


def text_of(name: str) -> str:
    """The Markdown of a shipped rubric.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in SHIPPED:
        raise UsageError(
            f"there is no rubric {name!r:.80}{did_you_mean(name, SHIPPED)}", hint=f"shipped: {', '.join(SHIPPED)}"
        )
    return files("pytest_llmbench").joinpath("data", "rubrics", f"{name}.md").read_text("utf-8")


@cache
def shipped(name: str) -> Rubric:
    """A shipped rubric; raises as `text_of`."""
    return rubric_reading.read(text_of(name), f"{name}.md", called=name, origin=ORIGIN)

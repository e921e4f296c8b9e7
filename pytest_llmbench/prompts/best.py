"""Which variant of a prompt suits a model best, as far as stored results tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_llmbench.prompts.history import Result
from pytest_llmbench.prompts.prompt import Prompt

ENOUGH = 10
"""Scored samples, before a variant's results count."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one variant did with one model, over all stored runs of it as it is now."""

    variant: str
    n: int
    mean: float

    def __str__(self) -> str:
        return f"{self.variant} {self.mean:.3f} (n={self.n})"


def best_variants(prompt: Prompt, models: Iterable[str], results: Iterable[Result]) -> Mapping[str, tuple[str, str]]:
    """For `Prompt.best`: model → its best variant, and why.

    A model is left out until two of its variants have been tried on enough samples: one alone is not the best of any.

    Args:
        prompt: with its variants; results of what they were before an edit do not count.
        models: as users write them.
        results: stored ones.
    """
    kept = list(results)
    found: dict[str, tuple[str, str]] = {}
    for model in models:
        tried = [each for each in standings(prompt, model, kept) if each.n >= ENOUGH]
        if len(tried) > 1:
            best = max(tried, key=lambda each: each.mean)
            found[model] = best.variant, "best by stored results: " + ", ".join(map(str, tried))
    return found


def standings(prompt: Prompt, model: str, results: Iterable[Result]) -> list[Standing]:
    """How each variant that suits a model did, the prompt itself first; those without results have n = 0."""
    by_version: dict[str, list[Result]] = {}
    for each in results:
        if each.model == model:
            by_version.setdefault(each.version, []).append(each)
    return [_standing(name, by_version.get(prompt.named(name).version, [])) for name in prompt.candidates(model)]


def _standing(variant: str, results: list[Result]) -> Standing:
    n = sum(each.n for each in results)
    return Standing(variant, n, sum(each.mean * each.n for each in results) / n if n else 0.0)

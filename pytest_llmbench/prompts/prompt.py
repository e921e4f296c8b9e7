"""A use case's prompt: how a sample becomes the messages that a model is asked.

In *fair* mode every model is asked the same. In *optimized* mode each model is asked its best variant. Which it was
stands beside every result: `Prompt.label`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.prompts.examples import Examples
from pytest_llmbench.prompts.messages import Message, Part, messages_of
from pytest_llmbench.prompts.template import Template
from pytest_llmbench.records import Record, Sample
from pytest_llmbench.settings import Settings

Mode = Literal["fair", "optimized"]

DEFAULT_SYSTEM = (
    "Work only from the text that you are given. Add no facts, names, numbers or dates that it does not contain; "
    "where it does not hold what is asked for, say so. Give the answer in the form that is asked for, and nothing else."
)
AS_IT_IS = Template("{{input}}")
STAY_WITHIN = Template(DEFAULT_SYSTEM)
BASE = "base"
"""The name of the prompt that is no variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Another way of asking."""

    template: Template
    system: Template
    models: tuple[str, ...] = ()
    """Globs of the models it was written for; none: any model may be asked so."""

    def suits(self, model: str) -> bool:
        """Whether this model may be asked so."""
        return not self.models or any(fnmatchcase(model, glob) for glob in self.models)


@dataclass(frozen=True, slots=True)
class Label(Record):
    """How a model was asked: stands beside its results."""

    mode: str
    variant: str
    version: str
    """Of the prompt as this model was asked it: two models with the same version were asked the same."""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.mode}: {self.variant} ({self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How samples are asked.

    `{{input}}`, `{{id}}`, `{{examples}}`, a sample's other columns and `variables` may stand in it; a sample's own
    column outranks a variable of the same name.
    """

    template: Template = AS_IT_IS
    system: Template = STAY_WITHIN
    """Empty: there is no system message."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    examples: Examples | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    mode: str = "fair"
    """One of `Mode`."""
    name: str = BASE
    """Which variant the template and the system text are."""
    best: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Model → the variant that its stored results speak for, and why; see `best.best_variants`."""

    def messages(self, sample: Sample, model: str = "") -> list[Message]:
        """What is asked: the system message, examples, and the sample.

        Args:
            sample: its input is a text, or messages that stand where the template has `{{input}}`.
            model: as users write it; decides the variant in optimized mode.

        Raises:
            UsageError: a variable has no value, or a conversation stands inside other text; with the place.
        """
        return messages_of(self._part_of(self._chosen(model)[0]), sample, self.variables, self.examples)

    def check(self, sample: Sample) -> None:
        """See that this sample can be asked, by every variant, and shown as an example where it may be one.

        Raises:
            UsageError: as for `messages`.
        """
        for name in (self.name, *self.variants):
            messages_of(self._part_of(name), sample, self.variables, None)
        if self.examples:
            is_example = self.examples.pool.is_data and sample.expected is not None
            self.examples.check(sample, is_example=is_example)

    def named(self, variant: str) -> Prompt:
        """The prompt with one variant for all models.

        Raises:
            UsageError: there is no such variant.
        """
        known = (self.name, *self.variants)
        if variant not in known:
            raise UsageError(
                f"the prompt has no variant {variant!r}{did_you_mean(variant, known)}",
                hint=f"it has {', '.join(known)}",
            )
        part = self._part_of(variant)
        alone = replace(self, mode="fair", variants={}, best={})
        return replace(alone, template=part.template, system=part.system, name=variant)

    def told(self, settings: Settings, best: Mapping[str, tuple[str, str]] | None = None) -> Prompt:
        """The prompt with what the command line says in place of what the use case says.

        Args:
            settings: `prompt_mode`, and `prompt_variant` where it names one (`each` is for whoever makes the tests).
            best: model → its best variant, and why; see `best.best_variants`.

        Raises:
            UsageError: there is no such variant.
        """
        if settings.prompt_variant not in {"", "each"}:
            return self.named(settings.prompt_variant)
        mode = self.mode if settings.prompt_mode == "declared" else settings.prompt_mode
        return replace(self, mode=mode, best=best or self.best)

    def candidates(self, model: str) -> tuple[str, ...]:
        """The names of all ways that this model may be asked."""
        return self.name, *(name for name, variant in self.variants.items() if variant.suits(model))

    def label(self, model: str) -> Label:
        """How this model is asked."""
        name, reason = self._chosen(model)
        return Label(self.mode, name, self.named(name).version, reason)

    @property
    def version(self) -> str:
        """The hash of all that decides what is asked: 12 hexadecimal digits."""
        content = json.dumps(self.content(), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def content(self) -> dict[str, Any]:
        """All that decides what is asked, as builtin types."""
        return {
            "template": self.template.text,
            "system": self.system.text,
            "variables": dict(self.variables),
            "examples": self.examples.content() if self.examples else None,
            "variants": {
                name: {"template": each.template.text, "system": each.system.text, "models": list(each.models)}
                for name, each in self.variants.items()
            },
        }

    def _part_of(self, name: str) -> Part:
        chosen: Prompt | Variant = self if name == self.name else self.variants[name]
        return Part(chosen.template, chosen.system)

    def _chosen(self, model: str) -> tuple[str, str]:
        """The variant for a model, and why that one."""
        if self.mode == "fair":
            return self.name, "the same prompt for all models"
        if model in self.best and self.best[model][0] in self.candidates(model):
            return self.best[model]
        written_for = (name for name, each in self.variants.items() if each.models and each.suits(model))
        if name := next(written_for, ""):
            return name, "written for this model; no stored results tell which is best"
        return self.name, "no stored results tell which variant is best"

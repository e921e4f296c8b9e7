"""Whom to talk to where nobody said."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmbench.config import Resolved

DEMO = "demo/facts"
_INNER = {"models": ("quants", ":"), "providers": ("models", "/")}
"""Section of llmbench.yaml → what of an entry names models, and what stands between both names."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The models of a chat."""

    models: tuple[str, ...]
    why: str = ""
    """Why these, in words; empty where they were named."""


def named(text: str) -> tuple[str, ...]:
    """The models of a comma separated list, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def usual(resolved: Resolved) -> Choice:
    """Whom to talk to: the first of llmbench.yaml, else a model that is on this disk, else one that answers by rule."""
    if resolved.settings.models:
        return Choice(resolved.settings.models[:1], "the first of the option `models`")
    if (declared := _declared(resolved)) is not None:
        return Choice((declared,), f"the first of {resolved.document.name}")
    if (here := _on_disk(resolved)) is not None:
        return Choice((here,), "it is on this disk")
    return Choice((DEMO,), "it answers by rule and needs no key; --model names another")


def _declared(resolved: Resolved) -> str | None:
    """The first model that the project's file defines, in its order."""
    for section, definitions in resolved.document.data.items():
        if section not in _INNER:
            continue
        inner, joint = _INNER[section]
        for name, definition in (definitions or {}).items():
            if known := (definition or {}).get(inner):
                return f"{name}{joint}{next(iter(known))}"
    return None


def _on_disk(resolved: Resolved) -> str | None:
    """The first model of this disk that was taught to answer; one that was made of another only where no other is."""
    from pytest_llmbench.models.model_store import ModelStore, default_folder  # noqa: PLC0415 - where nobody else is

    folder = resolved.models_dir or default_folder()
    store = ModelStore(folder, resolved.config.models, offline=True)
    here = [entry for entry in store.entries() if entry.present and entry.has_chat_template]
    return min(here, key=lambda entry: entry.requantized_from is not None).name if here else None

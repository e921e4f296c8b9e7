"""What a model has to take besides text, and what is said where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Capabilities

_NEEDS = {"image_url": "images", "image": "images", "input_image": "images", "input_audio": "audio", "audio": "audio"}


def media_needs(messages: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Which of `images` and `audio` a conversation holds."""
    parts = (part for message in messages for part in _parts(message.get("content")))
    kinds = {str(part.get("type")) for part in parts if isinstance(part, Mapping)}
    return frozenset(_NEEDS[kind] for kind in kinds & _NEEDS.keys())


def refuse_media(needs: Iterable[str], model: str, capabilities: Capabilities, place: str = "") -> None:
    """Refuse what a model is known not to take; what nobody told is let pass.

    Args:
        needs: as from `media_needs`.
        model: its name.
        capabilities: of the model.
        place: where the sample stands: `data/cat.png`, `data.jsonl:3`.

    Raises:
        UsageError: it does not take one of them.
    """
    for need in sorted(needs):
        if getattr(capabilities, need) is False:
            at = f"{place}: " if place else ""
            raise UsageError(
                f"{at}{model} does not take {need} (says {capabilities.source or 'its server'}); nothing was asked",
                hint=f"choose a model that does, or state `capabilities: {{{need}: true}}` for it in llmbench.yaml",
            )


def server_capabilities(props: Mapping[str, Any]) -> Capabilities:
    """What a llama.cpp server tells of its model in `/props`; None where an old one tells nothing."""
    told = props.get("modalities")
    if not isinstance(told, Mapping):
        return Capabilities()
    return Capabilities(images=bool(told.get("vision")), audio=bool(told.get("audio")), source="its server")


def _parts(content: Any) -> Iterable[Any]:
    return content if isinstance(content, list | tuple) else ()

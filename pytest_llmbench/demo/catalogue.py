"""What the provider tells about its models, in the form of whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_llmbench.demo.forms import Form
from pytest_llmbench.demo.personas import PERSONAS

CONTEXT_TOKENS = 128_000
MAX_OUTPUT_TOKENS = 16_384
_BORN = 1_767_225_600
"""Seconds since 1970: the models' `created`."""
_TAKES = ("max_tokens", "temperature", "seed", "stop", "response_format", "structured_outputs", "tools", "tool_choice")


def models(names: Sequence[str], form: Form) -> dict[str, Any]:
    """The list at `/v1/models`."""
    if form.name == "openai":
        data = [{"id": name, "object": "model", "created": _BORN, "owned_by": "demo"} for name in names]
        return {"object": "list", "data": data}
    listed = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names
    ]
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": listed, "has_more": False, **ends}


def catalogue(names: Sequence[str]) -> dict[str, Any]:
    """The catalogue at `/api/v1/models`, as OpenRouter's: prices are decimal text, in US dollars a token."""
    return {"data": [_entry(name) for name in names]}


def _entry(name: str) -> dict[str, Any]:
    persona = PERSONAS.get(name, PERSONAS["echo"])
    takes = [*_TAKES, *(("reasoning", "include_reasoning") if name == "reasoning" else ())]
    return {
        "id": f"demo/{name}",
        "canonical_slug": f"demo/{name}",
        "name": f"Demo: {name}",
        "created": _BORN,
        "description": persona.help,
        "context_length": CONTEXT_TOKENS,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
        },
        "pricing": {
            "prompt": persona.price.input,
            "completion": persona.price.output,
            "request": "0",
            "image": "0",
            "input_cache_read": persona.price.cached,
            "input_cache_write": persona.price.cache_write,
        },
        "top_provider": {
            "context_length": CONTEXT_TOKENS,
            "max_completion_tokens": MAX_OUTPUT_TOKENS,
            "is_moderated": False,
        },
        "supported_parameters": takes,
    }

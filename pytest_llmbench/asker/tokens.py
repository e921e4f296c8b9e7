"""How many tokens a prompt can be at most: what a budget reserves for, before anybody has counted.

No tokenizer makes more tokens of a text than it has bytes in UTF-8: byte-level ones begin with the bytes, the others
fall back to them. Some normalise the text first (NFKC), which can make it longer, so the longer of both counts. The
rest is overhead by stated numbers, each above what is known of any provider.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from pytest_llmbench.clients import ChatRequest

OF_REQUEST = 256
"""What chat templates put around a conversation: a date, a default system message, the answer's beginning."""
OF_MESSAGE = 32
"""Its role and the marks around it."""
OF_TOOLS = 1024
"""The instructions that providers write above tools."""
OF_IMAGE = 50_000
"""A picture at full detail; gpt-4o-mini counts 48,169 for the largest, others 85 to 5,000."""
OF_SMALL_IMAGE = 3_000
"""One at `detail: low`."""
_INDENTED = 2
"""Templates write tools as JSON, some with indentation."""
_IMAGES = frozenset({"image_url", "image", "input_image"})


def upper_bound(request: ChatRequest) -> int:
    """At most so many prompt tokens: bytes of UTF-8 and overhead; sound within messages counts as its bytes."""
    messages = sum(_of_message(message) for message in request.messages)
    return OF_REQUEST + messages + (_of_extra(request.extra) if request.extra else 0)


def _of_message(message: Mapping[str, Any]) -> int:
    return OF_MESSAGE + sum(map(_of_value, message.values()))


def _of_value(value: Any) -> int:
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list | tuple):
        return sum(map(_of_value, value))
    if isinstance(value, Mapping):
        if value.get("type") in _IMAGES:
            return _of_image(value)
        return sum(_of_text(name) + _of_value(each) for name, each in value.items())
    return len(str(value))


def _of_text(text: str) -> int:
    if text.isascii():
        return len(text)
    return max(len(form.encode("utf-8", "surrogatepass")) for form in (text, normalize("NFKC", text)))


def _of_image(part: Mapping[str, Any]) -> int:
    image = part.get("image_url")
    detail = image.get("detail") if isinstance(image, Mapping) else part.get("detail")
    return OF_SMALL_IMAGE if detail == "low" else OF_IMAGE


def _of_extra(extra: Mapping[str, Any]) -> int:
    """Tools, functions and schemas become a part of the prompt; the rest does no harm."""
    return OF_TOOLS + _INDENTED * len(json.dumps(dict(extra)))

"""Which models are of one family, by their names: judges favour their own, and relatives err alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

_FAMILIES = {
    "smollm": r"smollm",
    "llama": r"(?<!o)llama(?![._-]?cpp)",
    "qwen": r"qwen|\bqwq",
    "gemma": r"gemma",
    "gemini": r"gemini",
    "gpt": r"\bgpt-?(?:oss|\d)|chatgpt|\bo[134](?:-|$)",
    "claude": r"claude",
    "mistral": r"mi[sx]tral|ministral|magistral|codestral|devstral|pixtral",
    "phi": r"\bphi-?\d",
    "deepseek": r"deepseek",
    "grok": r"\bgrok",
    "command": r"\bcommand-(?:r|a)\b|\bc4ai-command|\baya-",
    "glm": r"glm-?\d",
    "kimi": r"\bkimi|moonshot",
    "granite": r"granite",
    "nemotron": r"nemotron",
    "olmo": r"olmo",
    "falcon": r"falcon",
    "yi": r"\byi-",
    "nova": r"\bnova-(?:micro|lite|pro|premier)",
}
_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _FAMILIES.items()))


def family(model: str) -> str | None:
    """The family that a model's name tells first, as `llama`; None: the name tells none.

    Args:
        model: with or without its provider before a slash. `hermes-3-llama-3.1` is a llama, `deepseek-r1-distill-qwen`
            a deepseek.
    """
    found = _ANY.search(model.rsplit("/", 1)[-1].casefold())
    return found.lastgroup if found else None


def warnings_for(judges: Sequence[str], subjects: Sequence[str]) -> list[str]:
    """What to tell of judges that are related to what they judge, or to each other.

    Args:
        judges: models that judge.
        subjects: models that are judged.
    """
    own = [_of_subject(judge, subject) for judge in judges for subject in subjects]
    shared = [_of_judges(one, other) for one, other in combinations(judges, 2)]
    return [warning for warning in (*own, *shared) if warning]


def _of_subject(judge: str, subject: str) -> str:
    if judge == subject:
        return f"{judge} judges its own replies: judges favour their own"
    if (kin := family(judge)) is None or kin != family(subject):
        return ""
    return f"the judge {judge} is of the same family ({kin}) as {subject}, which it judges: judges favour their own"


def _of_judges(one: str, other: str) -> str:
    if one == other:
        return f"{one} sits on the panel twice: its votes are one"
    if (kin := family(one)) is None or kin != family(other):
        return ""
    return f"the judges {one} and {other} are of the same family ({kin}): they err alike, and count less than two"

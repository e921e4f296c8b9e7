"""pydantic at the door: a document becomes a configuration, or sentences that say where and why not."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.strict_yaml import Document, KeyPath
from pytest_llmbench.errors import ConfigError

Shape = TypeVar("Shape", bound=BaseModel)

_TYPE_MESSAGES = {
    "missing": "is missing",
    "string_type": "must be text; quote it",
    "string_too_short": "must not be empty",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "list_type": "must be a list (- item)",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "too_short": "must not be empty",
}


EXAMPLE_HINT = "`llmbench config init` writes an example of every section"


def validated(shape: type[Shape], document: Document, *, hint: str = EXAMPLE_HINT) -> Shape:
    """The document in this shape.

    Args:
        shape: what it is to be.
        document: as read.
        hint: where an example is to be had.

    Raises:
        ConfigError: each problem with its file, line and key, a line each.
    """
    try:
        return shape.model_validate(document.data)
    except ValidationError as error:
        problems = [_sentence(problem, document) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(problems)), hint=hint) from error


def _sentence(problem: Any, document: Document) -> str:
    """`llmbench.yaml:12: thresholds[0].metric: …` of one of pydantic's problems."""
    path, reason = placed(problem)
    where = f"{strict_yaml.dotted(path)}: " if path else ""
    return f"{document.name}:{document.line(path)}: {where}{reason}"


def placed(problem: Any) -> tuple[KeyPath, str]:
    """Where one of pydantic's problems is, and what is wrong there."""
    context = problem.get("ctx", {})
    path: KeyPath = tuple(part for part in problem["loc"] if part != "[key]")
    if problem["type"] == "llmbench":
        path = (*path, *context["keys"])
    reason = _TYPE_MESSAGES.get(problem["type"]) or str(context.get("error") or problem["msg"])
    if problem["type"] == "literal_error":
        reason = f"{problem['input']!r:.80} is not allowed (allowed: {context['expected'].replace(' or ', ', ')})"
    return path, reason

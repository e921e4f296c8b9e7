"""One sample as the messages that a model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.errors import UsageError
from pytest_llmbench.prompts.examples import Examples, text_of
from pytest_llmbench.prompts.template import Template, shown
from pytest_llmbench.records import DamagedSample, Sample

Message = dict[str, Any]
"""`{"role": "user", "content": "..."}`; the content is a text or a list of parts."""

_INPUT, _EXAMPLES = "input", "examples"


@dataclass(frozen=True, slots=True)
class Part:
    """What one model is asked with."""

    template: Template
    system: Template

    @property
    def shows_examples(self) -> bool:
        """Whether the text says where its examples stand; else they are messages before the sample's."""
        return _EXAMPLES in self.template.names | self.system.names


def messages_of(part: Part, sample: Sample, variables: Mapping[str, Any], examples: Examples | None) -> list[Message]:
    """The messages that a sample becomes.

    Args:
        part: the template and the system text.
        sample: its input is a text, or messages.
        variables: of the use case; a sample's own column of the same name outranks them.
        examples: chosen from for this sample; None: there are none.

    Raises:
        UsageError: a variable has no value, nothing is asked, or a conversation stands inside other text; with the
            place of the template.
    """
    asked_clean = sample.clean if isinstance(sample, DamagedSample) and sample.clean else sample
    chosen = examples.chosen_for(asked_clean) if examples else ()
    inline = "\n\n".join(map(_as_text, chosen)) if part.shows_examples else ""
    values = _values(sample, variables, inline)
    system = part.system.filled(values, _whom(sample)).strip()
    said = [] if part.shows_examples else [each for one in chosen for each in _as_messages(part, one, variables)]
    return [*([{"role": "system", "content": system}] if system else []), *said, *_asked(part.template, sample, values)]


def _whom(sample: Sample) -> str:
    return f"the sample {sample.id!r}"


def _values(sample: Sample, variables: Mapping[str, Any], examples: str) -> dict[str, Any]:
    return {**variables, **sample.metadata, "id": sample.id, _INPUT: sample.input, _EXAMPLES: examples}


def _asked(template: Template, sample: Sample, values: Mapping[str, Any]) -> list[Message]:
    """The sample's own messages."""
    if isinstance(sample.input, str):
        text = template.filled(values, _whom(sample))
        if not text.strip():
            raise template.error(f"nothing is asked of the sample {sample.id!r}: the prompt is empty for it", _INPUT)
        return [{"role": "user", "content": text}]
    if template.text.strip() in {"{{input}}", "{{ input }}"}:
        return [dict(message) for message in sample.input]
    return [{"role": "user", "content": _around(template, sample, values)}]


def _around(template: Template, sample: Sample, values: Mapping[str, Any]) -> list[Any]:
    """The parts of a single message (pictures, sound, text) where the template has `{{input}}`."""
    messages: Sequence[Mapping[str, Any]] = () if isinstance(sample.input, str) else sample.input
    halves = template.around(_INPUT)
    if len(messages) != 1 or messages[0].get("role") != "user" or halves is None:
        raise _no_place(template, sample)
    content = messages[0].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
    before, after = (_text_part(half.filled(values, _whom(sample))) for half in halves)
    return [*before, *parts, *after]


def _no_place(template: Template, sample: Sample) -> UsageError:
    error = template.error(f"the sample {sample.id!r} is a conversation, and cannot stand inside other text", _INPUT)
    error.hint = "a message with pictures or sound goes where {{input}} stands, once; of a conversation leave the "
    error.hint += "template out, and say what is wanted in `system:`"
    return error


def _text_part(text: str) -> list[Message]:
    return [{"type": "text", "text": text.strip()}] if text.strip() else []


def _as_messages(part: Part, example: Sample, variables: Mapping[str, Any]) -> list[Message]:
    """An example as a question that was asked, and its answer."""
    asked = _asked(part.template, example, _values(example, variables, ""))
    return [*asked, {"role": "assistant", "content": shown(example.expected)}]


def _as_text(example: Sample) -> str:
    return f"Input: {text_of(example)}\nOutput: {shown(example.expected)}"

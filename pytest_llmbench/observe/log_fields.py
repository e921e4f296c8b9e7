"""What stands in a line of the request log: one table, of which lines, documentation and JSON Schema are made.

A field that is not there is not known, or does not apply: no line holds a null. Whoever reads ignores fields and events
that it does not know; what a known field means changes with `VERSION` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pytest_llmbench.errors import Category
from pytest_llmbench.observe.calls import Kind, Level, Outcome

VERSION = 1

Line = Mapping[str, Any]
"""One line of a log, read."""

CALL, WAITING, NOTE, LOG = "call", "waiting", "note", "log"
EVENTS: Mapping[str, str] = {
    CALL: "A call ended: one attempt at one question.",
    WAITING: "A call is under way for long; told once, the end of it comes as a `call`.",
    NOTE: "Something happened that is no call.",
    LOG: "A file begins, and who writes it: the first line of each.",
}


@dataclass(frozen=True, slots=True)
class LogField:
    """One field."""

    name: str
    type: str
    """As JSON Schema calls it."""
    meaning: str
    of: str = ""
    """The attribute that it is made of, where that is called differently."""
    genai: str = ""
    """OpenTelemetry's name for the same."""
    openai: str = ""
    """Where the same stands in a request or an answer of the OpenAI form."""
    choices: tuple[str, ...] = ()


EVERY = (
    LogField("v", "integer", "the version of this format"),
    LogField("event", "string", "what the line tells", choices=tuple(EVENTS)),
    LogField("at", "string", "when it happened, of a call when it ended; ISO 8601, UTC"),
    LogField("level", "string", "how much it matters", choices=tuple(map(str, Level))),
    LogField("run", "string", "the run"),
    LogField(
        "process",
        "string",
        "who wrote it: `main`, `gw0` (a worker of xdist), `asker`, `chat`, `b` (a side of `llmbench ab`)",
    ),
)
"""In every line."""

BEGUN = (
    LogField(
        "id",
        "string",
        "`run/test/sample/trial/attempt`, each percent-encoded; of a measurement `profile#repetition` for the sample. "
        "All questions of one sample have it: to a judge, to a fall-back, and each of `ask_all`",
        of="correlation_id",
    ),
    LogField(
        "call_id", "string", "names this call, and none other: 32 hexadecimal digits; in traces `llmbench.call_id`"
    ),
    LogField("test", "string", "the test that asked, by its stable key", of="test_key"),
    LogField("sample", "string", "the id of its sample"),
    LogField("trial", "integer", "how many times the test asked the same before"),
    LogField("attempt", "integer", "which attempt at the same question it is, from 1"),
    LogField("role", "string", "`subject`, `judge` or `chat`"),
    LogField("use_case", "string", "as budgets call it"),
    LogField("model", "string", "as you write it"),
    LogField("model_id", "string", "as its server calls it", genai="gen_ai.request.model", openai="model"),
    LogField("provider", "string", "of whom; not of a model of this machine", genai="gen_ai.provider.name"),
    LogField("account", "string", "a fingerprint of the key"),
    LogField("format", "string", "the wire format"),
    LogField("host", "string", "where it was asked: host and port", genai="server.address"),
    LogField("request_hash", "string", "the same for the same question to the same model"),
    LogField("profile", "string", "of a request that was timed: how the model was measured; of no other"),
    LogField("measurement", "string", "the measurement that it belongs to"),
    LogField("repetition", "integer", "which of its repetitions it is; negative: a warm-up, which is thrown away"),
    LogField("batch", "string", "of what was asked through a batch API: the provider's name of the batch"),
    LogField("begun_at", "string", "when it began, of a batch when that was submitted; ISO 8601, UTC"),
    LogField("stream", "boolean", "whether the answer was to come piece by piece", openai="stream"),
    LogField(
        "max_tokens",
        "integer",
        "the longest answer, as it was asked for",
        genai="gen_ai.request.max_tokens",
        openai="max_tokens",
    ),
    LogField("temperature", "number", "as it was asked for", genai="gen_ai.request.temperature", openai="temperature"),
    LogField("seed", "integer", "as it was asked for", genai="gen_ai.request.seed", openai="seed"),
)
"""What is known when a call begins."""

ENDED = (
    LogField("outcome", "string", "how it ended", choices=tuple(map(str, Outcome))),
    LogField(
        "duration_s", "number", "seconds from its beginning to its end; not where it was cached or came with a batch"
    ),
    LogField(
        "ttft_s",
        "number",
        "seconds from the request to the first generated token",
        genai="gen_ai.response.time_to_first_chunk",
    ),
    LogField("category", "string", "what kind of failure", genai="error.type", choices=tuple(map(str, Category))),
    LogField("status", "integer", "the HTTP status of a failure", genai="http.response.status_code"),
    LogField("message", "string", "what went wrong"),
    LogField("retry_in_s", "number", "seconds after which it is tried again; not where it is not"),
    LogField(
        "served_model",
        "string",
        "the model that answered, says the provider",
        genai="gen_ai.response.model",
        openai="model",
    ),
    LogField(
        "finish_reason",
        "string",
        "why the answer ended",
        genai="gen_ai.response.finish_reasons",
        openai="choices[0].finish_reason",
    ),
    LogField(
        "prompt_tokens",
        "integer",
        "of the prompt, cached ones among them",
        of="usage.prompt_tokens",
        genai="gen_ai.usage.input_tokens",
        openai="usage.prompt_tokens",
    ),
    LogField(
        "completion_tokens",
        "integer",
        "of the answer, reasoning among them",
        of="usage.completion_tokens",
        genai="gen_ai.usage.output_tokens",
        openai="usage.completion_tokens",
    ),
    LogField(
        "cached_tokens",
        "integer",
        "of the prompt, read from the provider's cache",
        of="usage.cached_tokens",
        genai="gen_ai.usage.cache_read.input_tokens",
        openai="usage.prompt_tokens_details.cached_tokens",
    ),
    LogField(
        "cache_write_tokens",
        "integer",
        "of the prompt, written to the provider's cache",
        of="usage.cache_write_tokens",
        genai="gen_ai.usage.cache_creation.input_tokens",
    ),
    LogField(
        "reasoning_tokens",
        "integer",
        "of the answer, spent on reasoning",
        of="usage.reasoning_tokens",
        genai="gen_ai.usage.reasoning.output_tokens",
        openai="usage.completion_tokens_details.reasoning_tokens",
    ),
    LogField("tokens_estimated", "boolean", "whether the tokens are our estimate", of="usage.estimated"),
    LogField(
        "cost_usd", "string", "US dollars as decimal text; not where it is unknown or has no price", of="cost.usd"
    ),
    LogField("cost_source", "string", "where the cost comes from; `unpriced`: from a server of ours", of="cost.source"),
)
"""What is known when it has ended."""

CONTENT = (
    LogField(
        "messages", "array", "what was asked", of="call.messages", genai="gen_ai.input.messages", openai="messages"
    ),
    LogField("extra", "object", "further fields of the request's body", of="call.extra"),
    LogField(
        "text",
        "string",
        "the answer, or what had come of it",
        genai="gen_ai.output.messages",
        openai="choices[0].message.content",
    ),
    LogField("reasoning", "string", "what it said before the answer, where that was told"),
    LogField("tool_calls", "array", "the tools that were called", openai="choices[0].message.tool_calls"),
)
"""With `request_log=content` alone."""

SHORTENED = LogField("shortened", "boolean", "true where a text was too long to be kept whole")

NOTED = (
    LogField("kind", "string", "what it is about", choices=tuple(map(str, Kind))),
    LogField("message", "string", "it in a sentence"),
    LogField("model", "string", "whom it is about; not where that is everybody"),
    LogField("details", "object", "its figures, units in their names"),
)
"""In a note."""

WAITED = (LogField("waited_s", "number", "seconds since it began"),)
"""In `waiting`, beside what is known when a call begins."""

HEAD = (
    LogField("generator", "string", "what wrote the file"),
    LogField("pid", "integer", "the number of the process"),
    LogField("content", "boolean", "whether lines hold what was asked and answered"),
)
"""In the first line of a file."""

FIELDS_OF: Mapping[str, tuple[LogField, ...]] = {
    CALL: (*EVERY, *BEGUN, *ENDED, *CONTENT, SHORTENED),
    WAITING: (*EVERY, *BEGUN, *WAITED),
    NOTE: (*EVERY, *NOTED),
    LOG: (*EVERY, *HEAD),
}
"""Event → what may stand in its lines."""


class Reader:
    """Reads fields off a thing.

    Args:
        fields: which.
    """

    def __init__(self, fields: Iterable[LogField]) -> None:
        self._of = [(each.name, attrgetter(each.of or each.name)) for each in fields]

    def read(self, thing: Any) -> dict[str, Any]:
        """Name → value; those of which nothing is known are left out."""
        values = ((name, of(thing)) for name, of in self._of)
        return {name: _shown(value) for name, value in values if value or value in _NOTHING_IS_TOLD_BY}


def _shown(value: Any) -> Any:
    return round(value, 6) if type(value) is float else value


_NOTHING_IS_TOLD_BY = (0, False)
"""The empty values that say something."""

"""The reference page of the request log."""

from __future__ import annotations

from collections.abc import Iterable

from generating.tables import table

from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.observe.log_fields import (
    BEGUN,
    CONTENT,
    ENDED,
    EVENTS,
    EVERY,
    HEAD,
    NOTED,
    SHORTENED,
    VERSION,
    WAITED,
    LogField,
)
from pytest_llmbench.observe.log_files import FILE_BYTES, MOST_BYTES
from pytest_llmbench.observe.log_texts import LONGEST
from pytest_llmbench.observe.request_log import LONG_S

_MIB = 2**20


def request_log_page() -> str:
    """Files, events, fields, kinds of notes."""
    events = table(("event", ""), [(f"`{name}`", meaning) for name, meaning in EVENTS.items()])
    kinds = table(("kind", "level", ""), [(f"`{kind}`", str(kind.level), kind.meaning) for kind in Kind])
    parts = [
        _intro(),
        _section("Events", events),
        _section("In every line", _fields(EVERY)),
        _section("In a `call` and in a `waiting`: what is known when it begins", _fields(BEGUN)),
        _section("In a `call`: how it ended", _fields(ENDED)),
        _section("In a `call` with `request_log=content`", _fields((*CONTENT, SHORTENED)) + _CONTENT),
        _section("In a `waiting`", _fields(WAITED)),
        _section("In a `note`", _fields(NOTED) + "\n" + kinds),
        _section("In a `log`", _fields(HEAD)),
    ]
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _fields(fields: Iterable[LogField]) -> str:
    fields = tuple(fields)
    heads = ("field", "type", "", "OpenTelemetry", "OpenAI")
    rows = [(f"`{each.name}`", each.type, _meaning(each), _code(each.genai), _code(each.openai)) for each in fields]
    if not any(each.genai or each.openai for each in fields):
        return table(heads[:3], [row[:3] for row in rows])
    return table(heads, rows)


def _meaning(each: LogField) -> str:
    if each.name == "category":
        return f"{each.meaning}: see [error categories](exit-codes.md)"
    if each.choices and len(each.choices) < 8:
        return f"{each.meaning}: {', '.join(f'`{choice}`' for choice in each.choices)}"
    return each.meaning


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _intro() -> str:
    return f"""# The request log

One line of JSON for every attempt at every question that a run asks a model, and for what happened besides. How to use
it: [See what happened](../how-to/see-what-happened.md). This is version {VERSION} of the format, written as `v` into
each line; [request-log.schema.json](request-log.schema.json) is its JSON Schema.

## Files

`<results>/logs/<run>/requests-<process>.jsonl`, one a process, readable by you alone. A file of
{FILE_BYTES // _MIB} MiB is followed by `requests-<process>.2.jsonl` and so on; none is renamed. Of more than
{MOST_BYTES // _MIB} MiB of one process the oldest file goes.
A process that is started again for the same run begins the next file.
Logs of the last 20 runs and of the last 20 chats are kept, and what was written within the last hour.

- Lines are written whole and in one piece. What kills a process leaves at most half a line at its end: pass over what
  is no JSON object.
- A field that is not there is not known, or does not apply; no field is null.
- Pass over events and fields that you do not know: more of both may come without another version.
- Keys, and whatever looks like one, stand as `[redacted]`.
- A call that is under way for {LONG_S:g} s is told by a `waiting`, within half a second.
- Requests that are timed, warm-ups among them, have `profile`, `measurement` and `repetition`. They are written when
  nothing is timed: after the load, and once a minute where requests go one by one, so they stand below lines of a later
  `at`. Of a measurement that is killed before, its repetitions stand in the results database alone.
- What is asked through a batch API is told by notes when it goes out and whenever it is looked at, and by a `call` for
  each answer when that is fetched: with `batch`, and without `duration_s`, which nobody knows.
"""


_CONTENT = f"""
A text of more than {LONGEST:,} characters, a picture for instance, is cut there.
"""

"""Calls as the request log is told them, and what it makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seen_calls import a_call

from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.observe.calls import CallEnded, Note
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.observe.request_log import RequestLog
from pytest_llmbench.records import Cost, Reply, Timing, ToolCall, Usage

REPLY = Reply(
    "an answer",
    "lab/m",
    "m-2026",
    tool_calls=(ToolCall("1", "find", '{"a": 1}'),),
    finish_reason="stop",
    usage=Usage(10, 20),
    timing=Timing(ttft_s=0.25),
    cost=Cost("0.01", "priced"),
)
ASKED = ({"role": "user", "content": "what is it?"},)


def written(folder: Path, *told: Any, content: bool = False, errors_only: bool = False) -> list[dict[str, Any]]:
    """Have a log told all of that; its lines."""
    log = RequestLog(folder, "r1", "main", print, content=content, errors_only=errors_only)
    for each in told:
        log.notes(each) if isinstance(each, Note) else log.ends(each)
    log.close()
    return [dict(line) for line in LogReader.of_folder(folder).lines()]


def failed(message: str = "no", **call: Any) -> CallEnded:
    error = WireError(message, category=Category.SERVER, status=500, partial_text="half")
    return CallEnded.broken(a_call(**call), error, 1.5)

"""What went wrong with a local server, read from its exit status and the last lines of its log.

llama.cpp ends with status 1 for a missing model, a busy port and a lack of memory alike, so the log has to tell.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Any

from pytest_llmbench.errors import Category, ServerError

_SIGNS: tuple[tuple[str, Category, str], ...] = (
    (r"no space left on device", Category.LOCAL_DISK_FULL, "free some space on the disk that holds the log folder"),
    (
        r"insufficient memory|failed to allocate|unable to allocate|out of memory|std::bad_alloc|cudaMalloc failed",
        Category.LOCAL_OOM,
        "ask for a smaller context, fewer slots or a smaller quantization, or free some memory",
    ),
    (
        r"couldn't bind|address already in use|failed to bind",
        Category.LOCAL_PORT,
        "something holds the port; leave --port and --host out of extra_args",
    ),
    (
        r"unknown model architecture|unknown pre-tokenizer|unsupported model",
        Category.LOCAL_SERVER_START,
        "this engine is older than the model: install a newer one",
    ),
    (
        r"invalid magic|corrupt|not within the file bounds|tensor '.*' has wrong shape|gguf_init_from\w*: failed",
        Category.LOCAL_CORRUPT_MODEL,
        "fetch the model again: llmbench models pull NAME",
    ),
    (
        r"error: (invalid argument|unknown argument|while handling argument)",
        Category.LOCAL_SERVER_START,
        "the binary does not take one of these flags; look at extra_args",
    ),
    (
        r"error while loading shared libraries|Library not loaded",
        Category.LOCAL_SERVER_START,
        "the binary's libraries are not where it looks for them: install or rebuild it",
    ),
    (
        r"failed to create context",
        Category.LOCAL_OOM,
        "ask for a smaller context, fewer slots or a smaller quantization",
    ),
    (
        r"failed to (open/)?load model|error loading model",
        Category.LOCAL_CORRUPT_MODEL,
        "check the file: llmbench models show NAME; fetch it again: llmbench models pull NAME",
    ),
)
"""(pattern in the log, category, what to do); the first that is found counts."""


def start_failure(what: str, facts: Mapping[str, Any]) -> ServerError:
    """The error for a server that did not become ready.

    Args:
        what: the server, as users know it.
        facts: kind, message, exit_code, log_tail, out_of_memory from the supervisor.
    """
    kind, exit_code = facts["kind"], facts.get("exit_code")
    category, hint = _diagnose(facts, Category.LOCAL_SERVER_START)
    if kind == "timeout":
        category, hint = Category.LOCAL_LOAD_TIMEOUT, "raise --llmbench-load-timeout-s, or look at the log below"
    if kind == "mismatch":
        category, hint = Category.LOCAL_SERVER_START, _why_changed(facts.get("log_tail", ""))
    return ServerError(
        f"the server of {what} did not start: {facts['message']}{_ended(exit_code)}{_where(facts)}",
        category=category,
        hint=hint or "its log tells more; the same command can be run by hand",
        exit_code=exit_code,
        log_tail=facts.get("log_tail", ""),
    )


def crash(what: str, facts: Mapping[str, Any]) -> ServerError:
    """The error for a server that died while it served."""
    exit_code = facts.get("exit_code")
    category, hint = _diagnose(facts, Category.LOCAL_SERVER_CRASH)
    if category is not Category.LOCAL_OOM:
        category = Category.LOCAL_SERVER_CRASH
    return ServerError(
        f"the server of {what} died{_ended(exit_code)}{_where(facts)}",
        category=category,
        hint=hint or "it is started again at the next use",
        exit_code=exit_code,
        log_tail=facts.get("log_tail", ""),
    )


def _why_changed(log_tail: str) -> str:
    if trained := re.search(r"training context of the model \((\d+)\)", log_tail):
        return f"the model was trained for {trained[1]} tokens: ask for a context of at most that"
    return "the engine changed the settings it was given: ask for what model and memory allow"


def _diagnose(facts: Mapping[str, Any], default: Category) -> tuple[Category, str]:
    if facts.get("out_of_memory"):
        return Category.LOCAL_OOM, "the kernel ran out of memory and killed it: ask for a smaller context or model"
    told = f"{facts.get('message', '')}\n{facts.get('log_tail', '')}"
    for pattern, category, hint in _SIGNS:  # before the signal: an allocation that fails ends in an abort
        if category is Category.LOCAL_OOM and re.search(pattern, told, re.IGNORECASE):
            return category, hint
    if (by_signal := _SIGNALS.get(-(facts.get("exit_code") or 0))) is not None:
        return default, by_signal
    for pattern, category, hint in _SIGNS:
        if re.search(pattern, told, re.IGNORECASE):
            return category, hint
    return default, ""


_SIGNALS: Mapping[int, str] = {
    signal.SIGILL: "the engine was built for another processor: install one built for this machine",
    signal.SIGKILL: "somebody killed it; where memory is short that may be the system itself",
    signal.SIGSEGV: "the engine itself failed; try another build, or the model in another quantization",
    signal.SIGABRT: "the engine itself gave up; its reason stands in the log",
}


def _ended(exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    if exit_code >= 0:
        return f" (exit status {exit_code})"
    try:
        return f" (killed by {signal.Signals(-exit_code).name})"
    except ValueError:
        return f" (killed by signal {-exit_code})"


def _where(facts: Mapping[str, Any]) -> str:
    return f"; log: {facts['log_path']}" if facts.get("log_path") else ""

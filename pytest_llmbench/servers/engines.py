"""Which engine serves a specification, and what it will need in memory."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.records import ServerSpec
from pytest_llmbench.servers import embedded, gguf, host, llama

LLAMA_SERVER = "llama-server"
EMBEDDED = "embedded"
OVERHEAD_BYTES = {LLAMA_SERVER: 128 * 2**20, EMBEDDED: 192 * 2**20}
"""Program, vocabulary, compute buffers and HTTP threads, above weights and KV cache."""
MARGIN = 1.05
USABLE_SHARE = 0.9
"""Of the memory that is free when the session's first server starts; the rest is the user's."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is run."""

    engine: str
    argv: tuple[str, ...]
    build: str


def command(spec: ServerSpec, *, engine: str, binary: str) -> Command:
    """The command for a specification; its own engine goes before the session's.

    `auto` means: the configured binary, else `llama-server` on PATH, else the embedded engine.

    Args:
        spec: the server.
        engine: `auto`, `llama-server` or `embedded`.
        binary: the configured binary; "" where none is.

    Raises:
        ServerError: a binary is asked for and there is none, or it cannot be used.
        MissingExtraError: the embedded engine is needed and not installed.
        UsageError: the engine cannot do what the specification asks.
    """
    chosen = spec.engine if spec.engine != "auto" else engine
    found = llama.find(binary) if chosen != EMBEDDED else None
    if found is not None:
        return Command(LLAMA_SERVER, llama.arguments(found, spec), llama.capabilities(found).build)
    if chosen == LLAMA_SERVER:
        raise ServerError(
            "no llama-server on PATH",
            category=Category.LOCAL_ENGINE_MISSING,
            hint=f"install llama.cpp, set LLMBENCH_LLAMA_SERVER, or use the embedded engine: {embedded.INSTALL}",
        )
    return Command(EMBEDDED, embedded.arguments(spec), embedded.build())


@functools.lru_cache(maxsize=64)
def need_bytes(spec: ServerSpec, engine: str) -> int:
    """What a server will need in memory, from its model's header.

    Layers on a graphics card are counted as if they were in main memory: an upper bound.

    Raises:
        ModelFileError: the file is missing or not a whole GGUF.
    """
    header = gguf.read_header(Path(spec.model.path))
    kv_bytes = header.kv_bytes(spec.context, spec.slots, spec.kv_type) or 0
    return int(MARGIN * (header.weights_bytes + kv_bytes)) + OVERHEAD_BYTES[engine]


def free_bytes() -> int:
    """What the session's servers may use: of the memory free now, on the machine and in its container."""
    return int(USABLE_SHARE * host.available_memory_bytes())

"""What two questions have in common that may share a reply: everything that can change it, and who pays for it.

A key is made of the whole of a request and of its target, except for the few fields that are named here because they
change nothing in an answer: a field that is added later is in it by itself, and costs a miss where it need not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.records import Target

VERSION = 1
"""Of what a key is made of, and of how our clients write requests and read replies; raised when either changes."""

SAYS_NOTHING = frozenset({"capabilities", "context_tokens", "limits", "price", "server_kind", "trace"})
"""Fields of a target that decide how fast it is asked and what it costs. What a model does not take (`capabilities`)
changes what is sent, which is in the key as it is sent."""

_HASHED_AT_ONCE = 256
_SCALE = re.compile(r":[-+.\deE]+$")
"""What follows a file in `--lora-scaled a.gguf:0.5,b.gguf:1e-2`."""


def key_of(target: Target, request: ChatRequest, sent: ChatRequest, *, role: str, trial: int, alike: str = "") -> str:
    """The key of a question to a remote model.

    Args:
        target: who is asked, by which account.
        request: what is asked.
        sent: the same as it is made to fit the model.
        role: `subject`, `judge` or `chat`: none of them is given what another one asked for.
        trial: how many times the same was asked before by one test: trials share nothing.
        alike: where not empty, this stands for messages and trial: what has it in common is held for the same.
    """
    asked = _asked(request, alike)
    return _digest(
        {
            "version": VERSION,
            "target": {name: value for name, value in _fields(target).items() if name not in SAYS_NOTHING},
            "request": asked,
            "sent": asked if sent is request else _asked(sent, alike),
            "role": role,
            "trial": 0 if alike else trial,
        }
    )


def local_key_of(request: ChatRequest, server: Mapping[str, Any], *, machine: str, role: str, trial: int) -> str | None:
    """The key of a question to a model of this machine.

    The chat template is that of the GGUF file, which is known by its hash, or comes with `extra_args`, whose files are
    hashed too.

    Args:
        request: what is asked.
        server: the file's `sha256`, the `engine_build`, and every setting of the server.
        machine: a fingerprint of it: another processor rounds differently.
        role: as for `key_of`.
        trial: as for `key_of`.

    Returns:
        None where the file or the engine is not known: then nothing may be cached.
    """
    if not (server.get("sha256") and server.get("engine_build")):
        return None
    return _digest(
        {
            "version": VERSION,
            "server": dict(server),
            "files": sorted(_named_files(server.get("extra_args", ()))),
            "machine": machine,
            "request": _asked(request),
            "role": role,
            "trial": trial,
        }
    )


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _asked(request: ChatRequest, alike: str = "") -> dict[str, Any]:
    return _fields(request) | ({"messages": alike} if alike else {})


def _digest(parts: Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def _named_files(arguments: Any) -> Iterator[str]:
    """The hashes of the files that a server's arguments name: templates, grammars, adapters."""
    for argument in map(str, arguments):
        for named in _perhaps_files(argument):
            try:
                state = Path(named).stat() if named and not named.startswith("-") else None
                is_file = state is not None and Path(named).is_file()
            except (OSError, ValueError):  # too long for a path, or with a NUL in it: a text
                continue
            if state is not None and is_file:
                yield _hash_of(named, state.st_size, state.st_mtime_ns)


def _perhaps_files(argument: str) -> Iterable[str]:
    """What of an argument may be the name of a file: all of it, or what lies between its marks."""
    whole = (argument, argument.partition("=")[2])
    parts = [part for each in whole for part in (each, *each.split(","))]
    return dict.fromkeys(name for part in parts for name in (part, _SCALE.sub("", part)))


@lru_cache(_HASHED_AT_ONCE)
def _hash_of(path: str, _size_bytes: int, _changed_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

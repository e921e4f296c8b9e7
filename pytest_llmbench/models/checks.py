"""What is checked about a model's files before they are used, and how it is told when something is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.models.gguf_split import read_model, split_parts
from pytest_llmbench.models.names import split
from pytest_llmbench.models.note import Note, PartNote, combined, hash_file
from pytest_llmbench.models.sources import kind_of
from pytest_llmbench.models.transfer import Pin

QUANTIZED_PREFIX = "quantized:"


def examined(
    name: str, file: Path, source: str, revision: str = "", tell: Callable[[int], None] = lambda _done: None
) -> Note:
    """What the headers and all the bytes of a model say.

    Args:
        name: the model's.
        file: its file, or the first of its parts.
        source: where it came from.
        revision: at which commit.
        tell: called with the bytes read so far, of all parts.

    Raises:
        ModelFileError: it is not a whole GGUF model.
        OSError: it cannot be read.
    """
    # The header first: its errors say more than a hash that does not match.
    read_model(file)
    parts, hashes, before = split_parts(file), [], 0
    for part in parts:
        hashes.append(hash_file(part, _counting_from(before, tell)))
        before += part.stat().st_size
    return noted(name, parts, hashes, source, revision)


def _counting_from(before: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: tell(before + done)


def noted(name: str, files: Sequence[Path], hashes: Sequence[str], source: str, revision: str = "") -> Note:
    """What is known about files whose hashes were computed just now.

    Raises:
        ModelFileError: they are not a whole GGUF model.
        OSError: they cannot be read.
    """
    header, found = read_model(files[0]), [file.stat() for file in files]
    parts = [
        PartNote(file.name, sha256, stat.st_size, stat.st_mtime_ns)
        for file, sha256, stat in zip(files, hashes, found, strict=True)
    ]
    return Note(
        name=name,
        sha256=combined(hashes),
        size_bytes=sum(part.size_bytes for part in parts),
        modified_ns=parts[0].modified_ns,
        source=source,
        requantized_from=header.requantized_from,
        revision=revision,
        parts=tuple(parts) if len(parts) > 1 else (),
    )


def has_chat_template(file: Path) -> bool | None:
    """None where the file is damaged: a list names such files too, using one says what is wrong with it."""
    with contextlib.suppress(ModelFileError, OSError):
        return read_header(file).has_chat_template
    return None


def size_bytes(file: Path, note: Note | None) -> int:
    """Of all parts, as far as they are known."""
    return note.size_bytes if note and note.parts else file.stat().st_size


def missing(name: str, file: Path, source: str) -> ModelFileError:
    """The error for a model that is not here."""
    if is_downloaded(source):
        message = f"the model {name} has not been downloaded from {source}"
    else:
        message = f"there is no file of the model {name} at {file}"
    safe = display_safe(message, keep="")
    return ModelFileError(safe, category=Category.MODEL_MISSING, hint=how_to_mend(name, source))


def missing_locked(name: str, note: Note, pin: Pin) -> ModelFileError:
    """The error for a model of which another version is here than the one that the project has pinned."""
    at = f" (commit {pin.revision[:12]})" if pin.revision else ""
    here = f" (commit {note.revision[:12]})" if note.revision else ""
    return ModelFileError(
        display_safe(
            f"the model {name} has not been downloaded as {pin.said_by} pins it: wanted is sha256 "
            f"{combined(pin.hashes)}{at}, here is {note.sha256}{here}",
            keep="",
        ),
        category=Category.MODEL_MISSING,
        hint=f"`llmbench models pull {name}` fetches the pinned one; with --update it pins what its source has now",
    )


def offline(name: str, *, another_is_here: bool) -> ModelFileError:
    """The error for a model that would have to be downloaded."""
    wanted = "the pinned file of the model" if another_is_here else "the model"
    return ModelFileError(
        f"{wanted} {name} is not here and may not be downloaded: offline use was asked for",
        category=Category.MODEL_MISSING,
        hint="without --offline (pytest: --llmbench-offline), LLMBENCH_OFFLINE and `offline` in a file: "
        f"llmbench models pull {name}",
    )


def how_to_mend(name: str, source: str) -> str:
    """What to do about a file that is not here or not whole."""
    if is_downloaded(source):
        return f"llmbench models pull {name}"
    if source.startswith(QUANTIZED_PREFIX):
        made_from = source.removeprefix(QUANTIZED_PREFIX).rpartition("@")[0]
        return f"llmbench models quantize {made_from} {split(name)[1]}"
    return "check the path; `llmbench models list` shows the models that are here"


def is_downloaded(source: str) -> bool:
    """Whether a source's files are fetched, and can be fetched again."""
    return kind_of(source).fetch is not None


@contextlib.contextmanager
def reading_errors(file: Path) -> Iterator[None]:
    """Turn the system's refusals to read a model file into `ModelFileError`."""
    try:
        yield
    except OSError as error:
        raise ModelFileError(
            f"cannot read the model file {file}: {error.strerror or error}",
            category=Category.MODEL_MISSING,
            hint="check its permissions",
        ) from error

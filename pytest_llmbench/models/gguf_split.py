"""Models in several GGUF files, `NAME-00001-of-00003.gguf` and so on, as llama.cpp's gguf-split writes them.

An engine is given the first part and finds the others by their names.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models.gguf import GgufHeader, read_header

MAX_PARTS = 1 << 12
_NAMED_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.gguf)", re.IGNORECASE)
_SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class Split:
    """Which part of a model a file is."""

    number: int
    """From 1."""
    count: int
    tensor_count: int | None
    """Of all parts together; None where the file does not say."""


def split_of(header: GgufHeader) -> Split | None:
    """What a header says of being a part; None for a model in one file.

    Raises:
        ModelFileError: what it says cannot be (`local.corrupt_model`).
    """
    number, count, tensors = (header.metadata.get(f"split.{key}") for key in ("no", "count", "tensors.count"))
    if count is None or count in {0, 1}:
        return None
    if not isinstance(count, int) or not isinstance(number, int) or not 0 <= number < count <= MAX_PARTS:
        raise _corrupt(header.path, f"it claims to be part {number!r:.20} (from 0) of {count!r:.20}")
    return Split(number + 1, count, tensors if isinstance(tensors, int) else None)


def split_parts(path: Path | str) -> tuple[Path, ...]:
    """All files of the model that a file belongs to, in order; for a model in one file, that one.

    Args:
        path: the file, or any part.

    Raises:
        ModelFileError: parts are missing, which the error names (`model_missing`), or the file is not a whole GGUF, or
            not named as a part has to be (`local.corrupt_model`).
    """
    return _parts(Path(path), split_of(read_header(path)))


def read_model(path: Path | str) -> GgufHeader:
    """The header of a model, in however many files: the first part's metadata with the tensors of all parts.

    Args:
        path: the file, or the first part.

    Returns:
        For a split model `file_size_bytes` is the sum over the parts, and offsets of tensors are within their part.

    Raises:
        ModelFileError: a part is missing or damaged, or the parts do not belong together.
    """
    header = read_header(path)
    split = split_of(header)
    if split is None:
        return header
    files = _parts(Path(path), split)
    if split.number != 1:
        raise ModelFileError(
            f"{_shown(path)} is part {split.number} of {split.count} of a model",
            category=Category.LOCAL_CORRUPT_MODEL,
            hint=f"name its first part: {_shown(files[0])}",
        )
    headers = [header, *(read_header(file) for file in files[1:])]
    _check_belonging(headers, split)
    return dataclasses.replace(
        header,
        file_size_bytes=sum(one.file_size_bytes for one in headers),
        tensors=tuple(tensor for one in headers for tensor in one.tensors),
    )


def part_name(path: Path) -> tuple[str, int, int] | None:
    """What a file's name says: the name without the part, the part's number from 1, how many; None for other names."""
    named = _NAMED_PART.fullmatch(path.name)
    return (named["stem"], int(named["number"]), int(named["count"])) if named else None


def _parts(path: Path, split: Split | None) -> tuple[Path, ...]:
    if split is None:
        return (path,)
    named = _NAMED_PART.fullmatch(path.name)
    if named is None or (int(named["number"]), int(named["count"])) != (split.number, split.count):
        raise _corrupt(
            path,
            f"it is part {split.number} of {split.count} of a model, and its name does not say so",
            hint=f"name it NAME-{split.number:05d}-of-{split.count:05d}.gguf, with its other parts beside it",
        )
    names = [f"{named['stem']}-{n:05d}-of-{split.count:05d}{named['suffix']}" for n in range(1, split.count + 1)]
    files = tuple(path.with_name(name) for name in names)
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise ModelFileError(
            f"{len(missing)} of the {split.count} parts of the model {_shown(path)} "
            f"{'is' if len(missing) == 1 else 'are'} missing: {_listed(missing)}",
            category=Category.MODEL_MISSING,
            hint=f"all parts belong into one folder, here {_shown(path.parent)}; fetch those that are missing",
        )
    return files


def _check_belonging(headers: list[GgufHeader], split: Split) -> None:
    """The parts have to be those of one model: each says which it is, and no tensor is told twice or not at all."""
    for number, header in enumerate(headers, 1):
        claimed = split_of(header)
        if claimed is None or (claimed.number, claimed.count) != (number, split.count):
            raise _corrupt(header.path, f"its header does not say that it is part {number} of {split.count}")
    names = [tensor.name for header in headers for tensor in header.tensors]
    if len(set(names)) != len(names):
        raise _corrupt(headers[0].path, "two of its parts hold the same tensor")
    if split.tensor_count not in {None, len(names)}:
        raise _corrupt(headers[0].path, f"it should have {split.tensor_count} tensors, its parts hold {len(names)}")


def _corrupt(path: Path | str, reason: str, hint: str = "") -> ModelFileError:
    return ModelFileError(
        f"{_shown(path)} is not a usable part of a model: {reason}",
        category=Category.LOCAL_CORRUPT_MODEL,
        hint=hint or "the parts are not those of one model, or one is damaged; fetch them again",
    )


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(_shown(name) for name in names[:_SHOWN_NAMES]) + more


def _shown(path: Path | str) -> str:
    return display_safe(str(path), keep="")

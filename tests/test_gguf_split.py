"""Models in several files: which part a file is, where the others are, and whether they belong together."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from gguf_samples import F32, LLAMA, gguf

from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import quantize
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.models.gguf_split import Split, part_name, read_model, split_of, split_parts

FLOATS = struct.pack("<64f", *range(64))


def part(number: int, count: int, tensors: int = 3, *, names: tuple[str, ...] | None = None) -> bytes:
    """Part `number` (from 1) of a model with a tensor a part, as gguf-split writes it."""
    told = {"split.no": number - 1, "split.count": count, "split.tensors.count": tensors}
    metadata = {**LLAMA, **told} if number == 1 else told
    return gguf(metadata, dict.fromkeys(names or (f"blk.{number}.w",), ((64, 1), F32, FLOATS)))


def write(folder: Path, count: int = 3, leave_out: tuple[int, ...] = ()) -> list[Path]:
    """A split model in a folder, perhaps not all of it."""
    files = [folder / f"m-Q8_0-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    for number, file in enumerate(files, 1):
        if number not in leave_out:
            file.write_bytes(part(number, count, count))
    return files


def test_a_part_says_which_one_it_is(tmp_path: Path) -> None:
    """And finds the others beside it, whichever part is asked."""
    files = write(tmp_path)
    assert split_of(read_header(files[1])) == Split(2, 3, 3)
    assert split_parts(files[0]) == split_parts(files[2]) == tuple(files)


def test_a_model_in_one_file_has_one_part(tmp_path: Path) -> None:
    """Also one that says that it is the only part."""
    file = tmp_path / "m.gguf"
    for metadata in (LLAMA, {**LLAMA, "split.no": 0, "split.count": 1}, {**LLAMA, "split.count": 0}):
        file.write_bytes(gguf(metadata))
        assert split_of(read_header(file)) is None
        assert split_parts(file) == (file,)
        assert read_model(file) == read_header(file)


def test_a_split_model_is_read_as_one(tmp_path: Path) -> None:
    """What it says stands in the first part, what it weighs is in all of them."""
    files = write(tmp_path)
    model = read_model(files[0])
    assert model.architecture == "llama"
    assert [tensor.name for tensor in model.tensors] == ["blk.1.w", "blk.2.w", "blk.3.w"]
    assert model.weights_bytes == 3 * len(FLOATS)
    assert model.file_size_bytes == sum(file.stat().st_size for file in files)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    """As a missing model, which pulling can mend, not as a broken one."""
    files = write(tmp_path, 3, leave_out=(2, 3))
    with pytest.raises(ModelFileError, match=r"2 of the 3 parts .* are missing") as caught:
        split_parts(files[0])
    assert caught.value.category is Category.MODEL_MISSING
    assert f"{files[1].name}, {files[2].name}" in caught.value.message
    files[1].write_bytes(part(2, 3))
    with pytest.raises(ModelFileError, match=f"1 of the 3 parts .* is missing: {files[2].name}"):
        read_model(files[0])


def test_of_many_missing_parts_a_few_are_named(tmp_path: Path) -> None:
    """An error stays readable."""
    files = write(tmp_path, 40, leave_out=tuple(range(2, 41)))
    with pytest.raises(ModelFileError, match="39 of the 40 parts") as caught:
        split_parts(files[0])
    assert caught.value.message.endswith("and 34 more")


def test_the_first_part_is_the_one_to_name(tmp_path: Path) -> None:
    """An engine finds the others from there; the hint says which it is."""
    files = write(tmp_path)
    with pytest.raises(ModelFileError, match="part 2 of 3") as caught:
        read_model(files[1])
    assert str(files[0]) in caught.value.hint


def test_a_part_under_another_name_is_refused(tmp_path: Path) -> None:
    """Engines find parts by name; the hint says what to call it."""
    file = tmp_path / "renamed.gguf"
    file.write_bytes(part(1, 3))
    with pytest.raises(ModelFileError, match="its name does not say so") as caught:
        split_parts(file)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    assert "NAME-00001-of-00003.gguf" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "content", "reason"),
    [
        (2, part(3, 3), "does not say that it is part 2 of 3"),
        (2, gguf(), "does not say that it is part 2 of 3"),
        (3, part(3, 3, names=("blk.1.w",)), "two of its parts hold the same tensor"),
        (3, part(3, 3, names=("a", "b")), "should have 3 tensors, its parts hold 4"),
        (3, part(3, 3)[:-8], "cut short"),
        (1, part(1, 3)[:60], "not a usable GGUF file"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    tmp_path: Path, number: int, content: bytes, reason: str
) -> None:
    """Swapped, foreign, doubled and damaged ones."""
    files = write(tmp_path)
    files[number - 1].write_bytes(content)
    with pytest.raises(ModelFileError, match=reason) as caught:
        read_model(files[0])
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL


@pytest.mark.parametrize(
    "told",
    [{"split.no": 3}, {"split.no": "1"}, {"split.count": 1 << 30}, {"split.count": "\x1b[2J"}, {"split.no": 1.0}],
)
def test_an_absurd_claim_is_refused(tmp_path: Path, told: dict[str, int | str | float]) -> None:
    """No file makes us look for a billion others, and what it claims does not steer the terminal."""
    file = tmp_path / "m-00001-of-00003.gguf"
    file.write_bytes(gguf({**LLAMA, "split.no": 0, "split.count": 3, **told}))
    with pytest.raises(ModelFileError, match="claims to be part") as caught:
        split_parts(file)
    assert "\x1b" not in caught.value.message


def test_a_split_model_is_not_requantized_in_part(tmp_path: Path) -> None:
    """Its first part alone would make a file that looks whole; nothing is written."""
    with pytest.raises(ModelFileError, match="only whole ones can be requantized") as caught:
        quantize.requantize(write(tmp_path)[0], tmp_path / "new.gguf", "Q4_0", None, lambda *_: None)
    assert "--merge" in caught.value.hint
    assert not (tmp_path / "new.gguf").exists()


def test_a_name_tells_the_part() -> None:
    """Without looking into the file."""
    assert part_name(Path("x/m-00002-of-00003.gguf")) == ("m", 2, 3)
    assert part_name(Path("m-2-of-3.gguf")) is None

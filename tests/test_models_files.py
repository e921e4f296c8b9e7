"""Model files on this disk: trusted while they look as noted, checked again when not."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from gguf_samples import gguf, split_gguf
from model_stores import NAME, files_in, store

from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import checks as model_checks
from pytest_llmbench.models import model_store as models
from pytest_llmbench.models.folder import ModelFolder
from pytest_llmbench.models.note import Note

DATA = gguf()
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A user's own model file."""
    path = tmp_path / "own.gguf"
    path.write_bytes(DATA)
    return path


def test_a_file_named_in_the_configuration_is_used_in_place(tmp_path: Path, file: Path) -> None:
    """`path:` copies nothing; the hash is noted in the models folder."""
    found = store(tmp_path, f"path:{file}").find("tiny")
    assert (found.name, found.path, found.sha256, found.source) == (NAME, str(file), SHA256, f"path:{file}")
    assert [name.split("/")[0] for name in files_in(tmp_path / "models")] == [".seen"]


def test_a_file_is_hashed_once(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While size and time of change are as noted, finding it reads no more than the note."""
    first = store(tmp_path, f"path:{file}").find(NAME)
    monkeypatch.setattr(model_checks, "hash_file", lambda path, _tell: pytest.fail(f"hashed {path} again"))
    assert store(tmp_path, f"path:{file}").find(NAME) == first


def test_a_changed_file_of_the_user_is_hashed_again(tmp_path: Path, file: Path) -> None:
    """What lies elsewhere may change as its owner likes: the record tells the new hash."""
    models_here = store(tmp_path, f"path:{file}")
    models_here.find(NAME)
    file.write_bytes(gguf({"general.architecture": "other"}))
    assert models_here.find(NAME).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path, file: Path) -> None:
    """Both hashes stand in the error."""
    with pytest.raises(ModelFileError, match=f"has sha256 {SHA256}, wanted is {'0' * 64}") as caught:
        store(tmp_path, f"path:{file}", "0" * 64).ensure(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    # Pulling could not bring another file.
    assert "pull" not in caught.value.hint
    assert "correct its sha256 in llmbench.yaml" in caught.value.hint
    assert str(file) in caught.value.hint


def test_a_corrupt_file_is_refused_with_what_is_wrong(tmp_path: Path, file: Path) -> None:
    """The header's reader explains it."""
    file.write_bytes(DATA[:-50])
    with pytest.raises(ModelFileError, match="cut short") as caught:
        store(tmp_path, f"path:{file}").find(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL


def test_a_models_folder_that_cannot_be_written_is_enough_to_find_files(tmp_path: Path, file: Path) -> None:
    """Notes are a convenience: without them the file is hashed each time."""
    (tmp_path / "models").write_text("in the way")
    assert store(tmp_path, f"path:{file}").find(NAME).sha256 == SHA256
    assert store(tmp_path, f"path:{file}").entries()[0].sha256 is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_so(tmp_path: Path, file: Path) -> None:
    """Permissions are named as the reason."""
    file.chmod(0)
    with pytest.raises(ModelFileError, match="Permission denied"):
        store(tmp_path, f"path:{file}").find(NAME)


@pytest.mark.parametrize(("template", "has"), [({}, False), ({"tokenizer.chat_template": "{{ messages }}"}, True)])
def test_the_list_tells_base_models_from_those_that_chat(
    tmp_path: Path, file: Path, template: dict[str, str], has: bool
) -> None:
    """By the header; of a file that is damaged or not here nothing is known."""
    here = store(tmp_path, f"path:{file}")
    file.write_bytes(gguf({"general.architecture": "llama", **template}))
    assert here.entries()[0].has_chat_template is has
    file.write_bytes(b"GGUF")
    assert here.entries()[0].has_chat_template is None
    file.unlink()
    assert here.entries()[0].has_chat_template is None


def test_the_list_shows_what_is_known_without_reading_the_weights(tmp_path: Path, file: Path) -> None:
    """Present or not, size, and the hash once somebody has checked it."""
    here = store(tmp_path, f"path:{file}")
    before = here.entries()[0]
    assert (before.present, before.size_bytes, before.sha256) == (True, len(DATA), None)
    here.find(NAME)
    assert here.entries()[0].sha256 == SHA256
    file.unlink()
    after = here.entries()[0]
    assert (after.present, after.size_bytes) == (False, None)


def test_the_default_folder_is_the_users_cache() -> None:
    """All projects of a user share the files."""
    assert models.default_folder().parts[-2:] == ("pytest-llmbench", "models")


def test_a_split_model_of_the_user_is_used_in_place(tmp_path: Path) -> None:
    """Named by its first part; size and hash are over all, and a change in any of them is seen."""
    parts = split_gguf(2)
    files = [tmp_path / f"own-0000{number}-of-00002.gguf" for number in (1, 2)]
    for file, part in zip(files, parts, strict=True):
        file.write_bytes(part)
    found = store(tmp_path, f"path:{files[0]}").find(NAME)
    assert (found.path, found.size_bytes) == (str(files[0]), sum(map(len, parts)))
    hashes = tuple(hashlib.sha256(part).hexdigest() for part in parts)
    assert store(tmp_path, f"path:{files[0]}", hashes).find(NAME) == found
    files[1].write_bytes(parts[1][:-1] + b"!")
    assert store(tmp_path, f"path:{files[0]}").find(NAME).sha256 != found.sha256
    files[1].unlink()
    with pytest.raises(ModelFileError, match="1 of the 2 parts"):
        store(tmp_path, f"path:{files[0]}").find(NAME)


def test_reading_tells_how_far_it_is_over_all_parts(tmp_path: Path) -> None:
    """A large model is not a bar that stands still."""
    parts = [tmp_path / f"m-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    for part, data in zip(parts, split_gguf(3), strict=True):
        part.write_bytes(data)
    told: list[int] = []
    note = model_checks.examined(NAME, parts[0], f"path:{parts[0]}", tell=told.append)
    assert told == [sum(note.sizes_bytes[:number]) for number in (1, 2, 3)]


def test_a_file_that_is_replaced_while_it_is_read_is_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pull --update` notes the new file, then gives it its name; who looked in between has read the old one."""
    data, sources = gguf({"general.architecture": "newer"}), "https://example.org/m.gguf"
    folder = ModelFolder(tmp_path / "models")
    target, work = folder.file("tiny", "Q8_0"), tmp_path / "models" / "draft.gguf"
    work.parent.mkdir()
    work.write_bytes(DATA)
    folder.land([work], target, model_checks.noted(NAME, [work], [SHA256], sources))
    os.utime(target, ns=(1, 1))
    examine = model_checks.examined

    def overtaken(*arguments: Any) -> Note:
        old = examine(*arguments)
        work.write_bytes(data)
        folder.land([work], target, model_checks.noted(NAME, [work], [hashlib.sha256(data).hexdigest()], sources))
        return dataclasses.replace(old, sha256="0" * 64)

    monkeypatch.setattr(model_checks, "examined", overtaken)
    assert store(tmp_path, sources).find(NAME).sha256 == hashlib.sha256(data).hexdigest()

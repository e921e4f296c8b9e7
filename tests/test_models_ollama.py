"""Models that Ollama has downloaded: found in its folder, used in place, believed only after checks."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from gguf_samples import LLAMA, gguf
from model_stores import files_in, store

from pytest_llmbench import config
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models import ollama

DATA = gguf({**LLAMA, "tokenizer.chat_template": "{{ messages }}"})
SHA256 = hashlib.sha256(DATA).hexdigest()
HOME = "registry.ollama.ai/library"
MODEL = "application/vnd.ollama.image.model"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's Ollama keeps its models: `tiny:latest` and two tags of `llama3.2`."""
    root = tmp_path / "ollama"
    monkeypatch.setenv("OLLAMA_MODELS", str(root))
    for name in ("tiny/latest", "llama3.2/1b", "llama3.2/3b"):
        add(root, name)
    return root


def add(root: Path, name: str, data: bytes = DATA, *, home: str = HOME, **layer: Any) -> Path:
    """Put a model there as `ollama pull` does; returns its file."""
    sha256 = hashlib.sha256(data).hexdigest()
    told = {"mediaType": MODEL, "digest": f"sha256:{sha256}", "size": len(data), **layer}
    others = [{"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'1' * 64}", "size": 3}]
    write_manifest(root, name, json.dumps({"schemaVersion": 2, "layers": [*others, told]}), home=home)
    blob = root / "blobs" / f"sha256-{sha256}"
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(data)
    return blob


def write_manifest(root: Path, name: str, text: str, *, home: str = HOME) -> Path:
    manifest = root / "manifests" / home / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(text)
    return manifest


def refusal(source: str) -> ModelFileError:
    """The error that a source gets, safe to show and with something to do next."""
    with pytest.raises(ModelFileError) as caught:
        ollama.locate(source)
    assert caught.value.message.isprintable()
    assert caught.value.hint
    return caught.value


def test_a_model_of_ollamas_is_used_in_place(tmp_path: Path, folder: Path) -> None:
    """Nothing is copied; its hash is computed by us once, and noted."""
    models = store(tmp_path, "ollama:tiny")
    found = models.ensure("tiny")
    assert found.path == str(folder / "blobs" / f"sha256-{SHA256}")
    assert (found.sha256, found.size_bytes, found.source) == (SHA256, len(DATA), "ollama:tiny")
    assert [name.split("/")[0] for name in files_in(tmp_path / "models")] == [".seen"]
    assert models.pull("tiny") == store(tmp_path, "ollama:tiny", offline=True).find("tiny") == found
    entry = models.entries()[0]
    assert (entry.present, entry.sha256, entry.has_chat_template) == (True, SHA256, True)


@pytest.mark.parametrize(
    ("source", "home", "name"),
    [
        ("ollama:small", HOME, "small/latest"),
        ("ollama:small:135m-q4_1", HOME, "small/135m-q4_1"),
        ("ollama:someone/small:v1", "registry.ollama.ai/someone", "small/v1"),
        ("ollama:hf.co/Someone/Small-GGUF:Q4_K_M", "hf.co/Someone", "Small-GGUF/Q4_K_M"),
    ],
)
def test_names_are_written_as_ollama_writes_them(folder: Path, source: str, home: str, name: str) -> None:
    """Library, namespace and other registries; the tag is `latest` where none is named."""
    blob = add(folder, name, home=home)
    assert ollama.locate(source) == blob
    assert source.removeprefix("ollama:") in {*ollama.names(folder), "small"}
    assert config.parse(f"models: {{m: {{quants: {{Q4_0: {{source: '{source}'}}}}}}}}").models["m"]


def test_without_the_variable_the_users_folder_is_looked_at(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/.ollama/models`, then that of the system's service."""
    monkeypatch.delenv("OLLAMA_MODELS")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert ollama.folders()[1] == Path("/usr/share/ollama/.ollama/models")
    blob = add(tmp_path / "home" / ".ollama" / "models", "mine/latest")
    assert ollama.locate("ollama:mine") == blob


def test_without_ollama_the_error_says_where_was_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to name another place."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "nowhere"))
    error = refusal("ollama:tiny")
    assert error.category is Category.MODEL_MISSING
    assert str(tmp_path / "nowhere") in error.message
    assert "OLLAMA_MODELS" in error.hint
    assert not store(tmp_path, "ollama:tiny").entries()[0].present


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("ollama:tinny", "ollama:tiny:latest"),
        ("ollama:llama3.2", "ollama:llama3.2:"),
        ("ollama:llama3.2:70b", "ollama:llama3.2:"),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_near_ones(folder: Path, source: str, near: str) -> None:
    """Other tags of the same model among them."""
    error = refusal(source)
    assert error.category is Category.MODEL_MISSING
    assert f"did you mean {near}" in error.hint
    assert "`ollama pull " in error.hint
    assert "3 others are there" in error.message


def test_a_name_like_no_other_gets_no_suggestion(folder: Path) -> None:
    """Only the command that fetches it."""
    assert refusal("ollama:zzzzzzzzzzzz").hint == "`ollama pull zzzzzzzzzzzz:latest` fetches it"


def test_a_file_that_is_gone_is_missing(folder: Path) -> None:
    """The manifest alone is no model."""
    (folder / "blobs" / f"sha256-{SHA256}").unlink()
    error = refusal("ollama:tiny")
    assert error.category is Category.MODEL_MISSING
    assert "its file is gone" in error.message
    assert error.hint == "ollama pull tiny:latest"


def test_a_file_of_another_size_is_refused_without_reading_it(folder: Path) -> None:
    """An interrupted copy, for example."""
    os.truncate(folder / "blobs" / f"sha256-{SHA256}", 100)
    error = refusal("ollama:tiny")
    assert error.category is Category.LOCAL_CORRUPT_MODEL
    assert f"has 100 bytes, its manifest says {len(DATA)}" in error.message


def test_a_file_that_is_not_what_it_is_called_is_refused(tmp_path: Path, folder: Path) -> None:
    """The right size, other bytes: Ollama names it by its hash, which is checked by us at first and after changes."""
    other = gguf({**LLAMA, "tokenizer.chat_template": "{{ m3ss4g3s }}"})
    assert len(other) == len(DATA)
    models, blob = store(tmp_path, "ollama:tiny"), folder / "blobs" / f"sha256-{SHA256}"
    assert models.find("tiny").sha256 == SHA256
    blob.write_bytes(other)
    os.utime(blob, ns=(1, 1))
    for _ in range(2):
        with pytest.raises(ModelFileError, match="is not what it is called") as caught:
            models.find("tiny")
        assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
        assert hashlib.sha256(other).hexdigest() in caught.value.message


BAD_LAYERS = {
    "no digest": {"digest": None},
    "a path": {"digest": "sha256:../../../../etc/passwd"},
    "a path of the right length": {"digest": f"sha256:{'../' * 21}x"},
    "another hash": {"digest": f"md5:{'0' * 64}"},
    "upper case": {"digest": f"sha256:{'A' * 64}"},
    "a line break behind it": {"digest": f"sha256:{'a' * 64}\n"},
    "escape sequences": {"digest": "\x1b[2J\u202e"},
    "a list": {"digest": ["sha256:x"]},
}


@pytest.mark.parametrize("case", BAD_LAYERS)
def test_a_digest_can_choose_nothing_but_a_blob(folder: Path, case: str) -> None:
    """64 hexadecimal digits; anything else is refused before a path is made of it."""
    add(folder, "bad/latest", **BAD_LAYERS[case])
    error = refusal("ollama:bad")
    assert error.category is Category.LOCAL_CORRUPT_MODEL
    assert "names no sha256" in error.message


BAD_MANIFESTS = {
    "nothing": "",
    "no JSON": "<html>",
    "another shape": "[1, 2]",
    "no layers": "{}",
    "layers that are none": '{"layers": "x"}',
    "layers of numbers": '{"layers": [1]}',
    "bottomless": "[" * 200_000,
    "endless": '{"layers": []}' + " " * ollama.MAX_MANIFEST_BYTES,
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest_is_refused(folder: Path, case: str) -> None:
    """Bounded in size and depth, and of one shape only."""
    manifest = write_manifest(folder, "bad/latest", "")
    manifest.write_bytes(BAD_MANIFESTS[case].encode("utf-8", "surrogateescape"))
    assert refusal("ollama:bad").category is Category.LOCAL_CORRUPT_MODEL


def test_a_pipe_in_a_manifests_place_is_not_waited_on(folder: Path) -> None:
    """Neither is a folder read."""
    home = folder / "manifests" / HOME / "bad"
    home.mkdir()
    os.mkfifo(home / "pipe")
    (home / "folder").mkdir()
    for tag in ("pipe", "folder"):
        assert "is not a file" in refusal(f"ollama:bad:{tag}").message


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([], "has 0 GGUF files"),
        ([MODEL, MODEL], "has 2 GGUF files"),
        ([MODEL, "application/vnd.ollama.image.adapter"], "a model with an adapter"),
    ],
)
def test_a_model_that_is_not_one_gguf_is_refused(folder: Path, layers: list[str], reason: str) -> None:
    """An engine would be started with something else than Ollama runs."""
    told = [{"mediaType": kind, "digest": f"sha256:{SHA256}", "size": len(DATA)} for kind in layers]
    write_manifest(folder, "odd/latest", json.dumps({"layers": told}))
    assert reason in refusal("ollama:odd").message


@pytest.mark.parametrize(
    "source",
    [
        "ollama:",
        "ollama:../../../etc/passwd",
        "ollama:.hidden",
        "ollama:a/b/c/d",
        "ollama:a:b:c",
        "ollama:a\0",
        "ollama:a b",
    ],
)
def test_a_name_cannot_leave_ollamas_folder(folder: Path, source: str) -> None:
    """Names are plain words; llmbench.yaml with another one is refused, and so is the source itself."""
    with pytest.raises(ConfigError):
        config.parse(f"models: {{m: {{quants: {{Q4_0: {{source: {json.dumps(source)}}}}}}}}}")
    assert "does not name a model" in refusal(source).message


def test_hidden_files_and_links_are_not_taken_for_models(folder: Path) -> None:
    """What the listing of near names looks at is bounded to what Ollama writes itself."""
    home = folder / "manifests" / HOME
    (home / ".DS_Store").write_text("")
    (home / "loop").symlink_to(folder / "manifests")
    assert ollama.names(folder) == ["llama3.2:1b", "llama3.2:3b", "tiny:latest"]
    assert ollama.names(folder / "nothing") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told_so(folder: Path) -> None:
    """The service's files belong to a user of its own: the hint names the group."""
    folder.chmod(0)
    try:
        assert "join its group" in refusal("ollama:tiny").hint
    finally:
        folder.chmod(0o700)

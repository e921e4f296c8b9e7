"""`llmbench models verify`: every byte is read, and held against what is pinned or noted."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import model_projects
import pytest
from gguf_samples import F32, LLAMA, gguf
from model_projects import DATA, FILE, OTHER, SHA256, copy, define, make

from pytest_llmbench.errors import ExitCode


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("pulled")
    make(base)
    return base


@pytest.fixture
def project(tmp_path: Path, pulled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, in which we stand."""
    return copy(pulled, tmp_path, monkeypatch)


@pytest.fixture
def models(project: Path) -> Path:
    """Its models folder."""
    return project.parent / "models"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a verb: exit status and all that it said."""
    return functools.partial(model_projects.say, capsys)


def states(said: str) -> dict[str, str]:
    """Model → state and what it was held against, of the printed table."""
    rows = (re.split(r" {2,}", line.strip()) for line in said.splitlines())
    return {row[0].partition(":")[0]: f"{row[1]}, {row[3]}" for row in rows if len(row) == 4 and row[0] != "model"}


def test_whole_files_verify(project, say) -> None:
    """Pinned at the first pull; what nothing pins is told as such, and both are fine."""
    status, said = say("verify")
    assert status == ExitCode.OK
    assert states(said) == {"own": "unpinned, –", "tiny": "ok, llmbench.lock"}
    assert "2 models, 1.3 kB: 1 ok, 1 unpinned" in said
    assert states(say("verify", "own")[1]) == {"own": "unpinned, its note"}


def test_a_changed_file_fails_though_it_looks_the_same(project, models, say) -> None:
    """Size and time of change as noted, other bytes: what a failing disk does, and what no quick look finds."""
    file = models / FILE
    before = file.stat()
    file.write_bytes(OTHER)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert say("show", "tiny")[0] == ExitCode.OK
    status, said = say("verify")
    assert status == ExitCode.TESTS_FAILED
    assert states(said)["tiny"] == "changed, llmbench.lock"
    assert hashlib.sha256(OTHER).hexdigest() in said
    assert SHA256 in said
    assert "llmbench models pull tiny" in said


def test_without_a_pin_files_of_ours_are_held_against_their_note(project, models, say) -> None:
    """And files of others as long as they look unchanged."""
    (project / "llmbench.lock").unlink()
    assert states(say("verify", "tiny")[1]) == {"tiny": "unpinned, its note"}
    (models / FILE).write_bytes(OTHER)
    status, said = say("verify", "tiny")
    assert (status, states(said)) == (ExitCode.TESTS_FAILED, {"tiny": "changed, its note"})


def test_a_file_of_the_user_may_change_but_not_rot(project, say) -> None:
    """Written anew it is another file; other bytes at the same time of change are damage."""
    file = project / "own.gguf"
    say("verify", "own")
    file.write_bytes(OTHER)
    os.utime(file, ns=(1, 1))
    assert (say("verify", "own")[0], states(say("verify", "own")[1])) == (0, {"own": "unpinned, its note"})
    file.write_bytes(DATA)
    os.utime(file, ns=(1, 1))
    status, said = say("verify", "own")
    assert (status, states(said)) == (ExitCode.TESTS_FAILED, {"own": "changed, its note"})


def test_damaged_and_missing_files_fail(project, models, say) -> None:
    """With the reason each; what was never fetched is not looked for unless it is named."""
    define(project, tiny="pypi:tiny-model==1.0", own="path:own.gguf", gone="path:gone.gguf", far="pypi:far==1")
    (models / FILE).unlink()
    (project / "own.gguf").write_bytes(DATA[:-100])
    status, said = say("verify")
    assert status == ExitCode.TESTS_FAILED
    assert states(said) == {"gone": "missing, –", "own": "damaged, –", "tiny": "missing, –"}
    assert "own:Q8_0 is damaged: " in said
    assert "cut short" in said
    assert "tiny:Q8_0 is missing: the model tiny:Q8_0 has not been downloaded" in said
    status, said = say("verify", "far")
    assert (status, states(said)) == (ExitCode.TESTS_FAILED, {"far": "missing, –"})


def test_a_missing_part_is_named(project, say) -> None:
    """A split model is verified as one: all its parts, or an error that says which is not there."""
    split = {"split.count": 2, "split.tensors.count": 2}
    files = [project / f"big-{n:05d}-of-00002.gguf" for n in (1, 2)]
    for number, file in enumerate(files):
        tensors = {f"t{number}": ((64, 1), F32, bytes(256))}
        file.write_bytes(gguf({**LLAMA, **split, "split.no": number}, tensors))
    define(project, big=f"path:{files[0]}")
    assert say("verify", "big")[0] == ExitCode.OK
    files[1].unlink()
    status, said = say("verify", "big")
    assert (status, states(said)) == (ExitCode.TESTS_FAILED, {"big": "missing, –"})
    assert "1 of the 2 parts" in said
    assert files[1].name in said


def test_ollamas_files_are_held_against_their_names(project, say, monkeypatch) -> None:
    """They are called by their hash."""
    root = project.parent / "ollama"
    monkeypatch.setenv("OLLAMA_MODELS", str(root))
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{SHA256}", "size": len(DATA)}
    manifest.write_text(json.dumps({"layers": [layer]}))
    blob = root / "blobs" / f"sha256-{SHA256}"
    blob.parent.mkdir()
    blob.write_bytes(DATA)
    define(project, theirs="ollama:tiny", others="ollama:tinny")
    status, said = say("verify")
    assert status == ExitCode.TESTS_FAILED
    assert states(said) == {"others": "missing, –", "theirs": "ok, its name"}
    assert "did you mean ollama:tiny:latest" in said
    blob.write_bytes(OTHER)
    assert states(say("verify", "theirs")[1]) == {"theirs": "changed, its name"}
    assert say("rm", "theirs", "--yes")[0] == ExitCode.USAGE
    assert blob.exists()


def test_a_suspicious_template_is_a_warning(project, say) -> None:
    """In verify and in show; the file is what it was, so it does not fail."""
    template = "{{ x.__class__.__mro__ }}\x1b[2J"
    (project / "own.gguf").write_bytes(gguf({**LLAMA, "tokenizer.chat_template": template}))
    status, said = say("verify", "own")
    assert status == ExitCode.OK
    assert "warning: the chat template of own:Q8_0 reaches for __class__, __mro__" in said
    said = say("show", "own")[1]
    assert re.search(r"^warning +its chat template reaches for __class__, __mro__$", said, re.MULTILINE)
    assert re.search(rf"^chat template +sha256 {hashlib.sha256(template.encode()).hexdigest()}$", said, re.MULTILINE)
    assert "\x1b" not in said
    assert json.loads(say("show", "own", "--json")[1])["suspicions"] == ["__class__", "__mro__"]


def test_verdicts_as_json(project, say) -> None:
    """For programs; texts are safe to show there too."""
    told = {one["name"]: one for one in json.loads(_out(say("verify", "--json")[1]))}
    assert (told["tiny:Q8_0"]["state"], told["tiny:Q8_0"]["sha256"]) == ("ok", SHA256)
    assert told["own:Q8_0"]["against"] == ""


def _out(said: str) -> str:
    """Standard output alone: progress goes before it."""
    return said[: said.rindex("]") + 1]

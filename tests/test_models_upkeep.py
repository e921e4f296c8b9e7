"""`llmbench models rm|prune`: what is named, or what nobody needs, goes; and nothing else."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import model_projects
import pytest
from filelock import FileLock
from model_projects import DATA, FILE, NOTE, copy, define, make
from model_stores import files_in, start
from terminals import on_a_terminal

from pytest_llmbench import clock
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.models import upkeep
from pytest_llmbench.models.folder import ModelFolder


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


def test_rm_removes_a_model_and_its_note(project, models, say) -> None:
    """The pin in llmbench.lock stays: pulled again it has to be the same file."""
    status, said = say("rm", "tiny", "--yes")
    assert status == ExitCode.OK
    assert re.search(r"removed tiny:Q8_0, \d+ B freed", said)
    assert files_in(models) == []
    assert not (models / "tiny").exists()
    assert "tiny:Q8_0" in (project / "llmbench.lock").read_text()
    assert say("pull", "tiny")[0] == ExitCode.OK


def test_rm_leaves_other_quantizations_alone(project, models, say) -> None:
    """Even in the same folder, even of a similar name."""
    others = [models / "tiny" / name for name in ("tiny-Q8_0-x.gguf", "tiny-Q4_0.gguf", "tiny-Q4_0.gguf.json")]
    for other in others:
        other.write_bytes(b"x")
    assert say("rm", "tiny", "-y")[0] == ExitCode.OK
    assert all(other.exists() for other in others)


def test_rm_removes_all_parts_and_half_downloads(project, models, say) -> None:
    """Whatever there is of a model."""
    define(project, big="hf:org/repo/big-00001-of-00002.gguf")
    for name in ("big/big-Q8_0-00001-of-00002.gguf", "big/big-Q8_0-00002-of-00002.gguf"):
        (models / name).parent.mkdir(exist_ok=True)
        (models / name).write_bytes(b"x" * 100)
    half = models / ".work" / "big-Q8_0-00001-of-00002" / "big-Q8_0-00001-of-00002.gguf.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x" * 1_000_000)
    status, said = say("rm", "big", "-y")
    assert status == ExitCode.OK
    assert "removed big:Q8_0, 1.0 MB freed" in said
    assert files_in(models) == [FILE, NOTE]


@pytest.mark.parametrize("name", ["own", "own.gguf", "./own.gguf"])
def test_rm_never_touches_files_outside_of_the_folder(project, say, name: str) -> None:
    """Not even with --yes; the message says whose file it is."""
    status, said = say("rm", name, "--yes")
    assert status == ExitCode.USAGE
    assert "not in the models folder" in said
    assert str(project / "own.gguf") in said
    assert (project / "own.gguf").exists()


def test_rm_does_not_follow_a_path_source_into_the_folder(project, models, say) -> None:
    """A `path:` that leads there is still its owner's."""
    define(project, mine=f"path:{models / FILE}")
    assert say("rm", "mine", "--yes")[0] == ExitCode.USAGE
    assert (models / FILE).exists()


def test_rm_checks_all_names_first(project, models, say) -> None:
    """A typing error in the second name leaves the first model where it is."""
    assert say("rm", "tiny", "tinny", "--yes")[0] == ExitCode.USAGE
    assert say("rm", "tiny", "own", "--yes")[0] == ExitCode.USAGE
    define(project, tiny="pypi:tiny-model==1.0", far="pypi:far==1")
    status, said = say("rm", "tiny", "far", "--yes")
    assert (status, "nothing of far:Q8_0" in said) == (ExitCode.TESTS_FAILED, True)
    assert (models / FILE).exists()


def test_rm_and_prune_ask_first(project, models, say, monkeypatch) -> None:
    """Without --yes and nobody to ask nothing is removed, which is an error; `n` is an answer."""
    leave(models)
    for verb in (["rm", "tiny"], ["prune"]):
        status, said = say(*verb)
        assert status == ExitCode.USAGE
        assert "--yes" in said
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question: print(question) or "n")
        status, said = say(*verb)
        assert (status, "for good? [y/N]" in said, "nothing removed" in said) == (ExitCode.OK, True, True)
        monkeypatch.undo()
        monkeypatch.chdir(project)
        monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(models))
    assert (models / FILE).exists()
    assert (models / ".work" / "old-Q4_0").exists()


def test_rm_waits_for_nobody(project, models, say) -> None:
    """While another process fetches the model it is refused, and so is nothing else."""
    (models / ".work").mkdir(exist_ok=True)
    with FileLock(models / ".work" / "tiny-Q8_0.lock"):
        status, said = say("rm", "tiny", "--yes")
    assert status == ExitCode.TESTS_FAILED
    assert "another process is just fetching or making tiny:Q8_0" in said
    assert (models / FILE).exists()
    assert say("rm", "tiny", "--yes")[0] == ExitCode.OK


def leave(models: Path) -> dict[str, Path]:
    """One of everything that may be left behind, besides a whole model of another project."""
    left = {
        "download": models / ".work" / "old-Q4_0" / "old-Q4_0.gguf.part",
        "note without a file": models / "old" / "old-Q8_0.gguf.json",
        "note on a file elsewhere": models / ".seen" / "0123.json",
        "note that nobody can read": models / ".seen" / "4567.json",
        "half-written note": models / "tiny" / f"tiny-Q8_0.gguf.json.{dead_pid()}",
        "foreign model": models / "foreign" / "foreign-Q4_0.gguf",
        "foreign note": models / "foreign" / "foreign-Q4_0.gguf.json",
    }
    for path in left.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 2_000_000 if path.suffix == ".part" else b"x")
    note = json.loads((models / NOTE).read_text())
    left["note without a file"].write_text(json.dumps(note))
    left["note on a file elsewhere"].write_text(json.dumps({**note, "source": "path:/nowhere/x\x1b[2J.gguf"}))
    left["foreign model"].write_bytes(b"x" * 3_000_000)
    left["foreign note"].write_text(json.dumps({**note, "name": "foreign:Q4_0", "source": "hf:org/repo/f.gguf"}))
    return left


def dead_pid() -> int:
    """The number of a process that has ended."""
    with start("pass") as process:
        process.communicate()
    return process.pid


def test_prune_removes_leftovers_and_nothing_else(project, models, say) -> None:
    """Half downloads, notes of nothing; models stay, also those that only another project names."""
    left = leave(models)
    say("verify")
    seen = [path for path in (models / ".seen").iterdir() if path not in left.values()]
    status, said = say("prune", "--yes")
    assert status == ExitCode.OK
    kept = {FILE, NOTE, "foreign/foreign-Q4_0.gguf", "foreign/foreign-Q4_0.gguf.json"}
    assert set(files_in(models)) == {*kept, *(str(path.relative_to(models)) for path in seen)}
    assert len(seen) == 1
    assert not (models / "old").exists()
    assert "unfinished download of old-Q4_0" in said
    assert "2.0 MB freed" in said
    assert "1 model that nothing names here (3.0 MB) may be another project's: --all" in said
    assert re.search(rf"^3\.0 MB in {models}$", said, re.MULTILINE)
    assert "\x1b" not in said
    assert "nothing to remove" in say("prune")[1]


def test_prune_only_tells_with_dry_run(project, models, say) -> None:
    """Nothing is asked, nothing is written: not even a lock."""
    leave(models)
    before = sorted(models.rglob("*"))
    status, said = say("prune", "--dry-run")
    assert status == ExitCode.OK
    assert "would free 2.0 MB" in said
    assert sorted(models.rglob("*")) == before


def test_prune_with_all_removes_what_nothing_names(project, models, say) -> None:
    """Told with name and source, so that one can see whose it was; named models stay."""
    leave(models)
    status, said = say("prune", "--all", "--yes")
    assert status == ExitCode.OK
    assert "model foreign:Q4_0, from hf:org/repo/f.gguf" in said
    assert files_in(models) == [FILE, NOTE]


def test_prune_leaves_what_a_process_is_making(project, models, say) -> None:
    """A lock that somebody holds is respected."""
    leave(models)
    with FileLock(models / ".work" / "old-Q4_0.lock"):
        say("prune", "--yes")
        assert (models / ".work" / "old-Q4_0" / "old-Q4_0.gguf.part").exists()
    say("prune", "--yes")
    assert not (models / ".work" / "old-Q4_0").exists()


def test_prune_leaves_the_note_of_a_file_that_is_just_landing(project, models, say) -> None:
    """The note goes first, the file follows; until then the lock is held."""
    note = leave(models)["note without a file"]
    with FileLock(models / ".work" / "old-Q8_0.lock"):
        say("prune", "--yes")
    assert note.exists()
    (waiting,) = (left for left in upkeep.leftovers(ModelFolder(models)) if left.paths == (note,))
    note.with_suffix("").write_bytes(DATA)
    assert upkeep.remove(waiting) == 0
    assert note.exists()


def test_prune_takes_what_is_old_enough(project, models, say) -> None:
    """By when anything of it was last written."""
    left = leave(models)
    two_days_ago = clock.now().timestamp() - 2 * 24 * 3600
    os.utime(left["download"], (two_days_ago, two_days_ago))
    assert "nothing to remove" in say("prune", "--yes", "--older-than", "3d")[1]
    said = say("prune", "--yes", "--older-than", "36h")[1]
    assert re.search(r"unfinished download of old-Q4_0 +2 d +2\.0 MB", said)
    assert left["note without a file"].exists()
    status, said = say("prune", "--older-than", "soon")
    assert (status, "12h, 30d, 4w" in said) == (ExitCode.USAGE, True)


def test_prune_of_a_folder_that_is_not_there(project, say, monkeypatch) -> None:
    """Nothing was ever pulled: nothing to do, and nothing made."""
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(project / "nowhere"))
    status, said = say("prune")
    assert (status, "nothing to remove" in said) == (ExitCode.OK, True)
    assert not (project / "nowhere").exists()


def test_links_in_the_folder_are_not_followed(project, models, say) -> None:
    """What a link leads to belongs to somebody else."""
    theirs = project.parent / "theirs"
    (theirs / "x").mkdir(parents=True)
    (theirs / "x" / "y.gguf.json").write_text("{}")
    (models / "linked").symlink_to(theirs / "x")
    (models / ".work").mkdir(exist_ok=True)
    (models / ".work" / "w").symlink_to(theirs)
    assert say("prune", "--all", "--yes")[0] == ExitCode.OK
    assert (theirs / "x" / "y.gguf.json").exists()


@pytest.mark.parametrize("words", [["verify"], ["prune", "--dry-run"]])
def test_tables_fit_a_terminal_of_80_columns(project, models, words: list[str]) -> None:
    """Whatever the names are."""
    leave(models)
    lines = on_a_terminal(f"import sys\nfrom pytest_llmbench.cli import main\nsys.exit(main(['models', *{words!r}]))")
    unbroken = ("━", str(models))  # a bar that was drawn over; a path is not wrapped, so that it can be copied
    assert [line for line in lines if len(line) > 80 and not any(each in line for each in unbroken)] == []
    assert any("tiny" in line for line in lines)


@pytest.mark.parametrize("answer", [EOFError, KeyboardInterrupt])
def test_no_answer_is_no_consent(project, models, say, monkeypatch, answer: type[BaseException]) -> None:
    """Ctrl-D is a no, Ctrl-C ends the command; what is said then begins on a line of its own."""

    def unanswered(question: str) -> str:
        print(question, end="")
        raise answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", unanswered)
    status, said = say("rm", "tiny")
    assert status == (ExitCode.OK if answer is EOFError else ExitCode.INTERRUPTED)
    assert "for good? [y/N] \n" in said
    assert (models / FILE).exists()


def test_prune_bears_with_what_vanishes_meanwhile(project, models, say, monkeypatch) -> None:
    """Another process lands its download between the look at a folder and the look at its files."""
    leave(models)
    (models / "tiny" / "tiny-Q4_0.gguf").symlink_to("gone")
    monkeypatch.setattr(Path, "lstat", lambda path: (_ for _ in ()).throw(FileNotFoundError(path)))
    assert upkeep.leftovers(ModelFolder(models)) == []
    assert upkeep.disk_usage_bytes(ModelFolder(models)) == 0
    monkeypatch.undo()
    assert [left for left in upkeep.unnamed(ModelFolder(models), []) if "tiny-Q4_0" in str(left.paths)] == []

"""llmbench.lock: what the first pull pins, and what holds the later ones against it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_samples import noisy, split_gguf, wheel
from hub_server import Hub, used_hub
from model_stores import NAME, define, files_in, start, store, use_index

from pytest_llmbench import config
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models.lockfile import LockedFile, LockedModel, Lockfile
from pytest_llmbench.models.model_store import ModelStore
from pytest_llmbench.models.transfer import Order, Pin, check_pin
from pytest_llmbench.records import ModelFile

OLD, NEW = noisy(32), noisy(32, seed=2)
OLD_SHA256, NEW_SHA256 = (hashlib.sha256(data).hexdigest() for data in (OLD, NEW))
SOURCE = "hf:org/repo/m.gguf"
LANDED = ["tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a model whose branch will move."""
    with used_hub(monkeypatch) as hub:
        hub.repo("org/repo", {"m.gguf": OLD})
        yield hub


def project(folder: Path, source: str = SOURCE, sha256: str | None = None) -> ModelStore:
    """The models of a project: its own lock, its own cache."""
    folder.mkdir(exist_ok=True)
    return store(folder, source, sha256, lock=folder / "llmbench.lock")


def locked(folder: Path) -> dict[str, dict[str, object]]:
    """What the lock says of each model."""
    models: dict[str, dict[str, object]] = json.loads((folder / "llmbench.lock").read_text())["models"]
    return models


def clone(folder: Path, origin: Path) -> Path:
    """A colleague's checkout: the same lock, an empty cache."""
    folder.mkdir()
    (folder / "llmbench.lock").write_bytes((origin / "llmbench.lock").read_bytes())
    return folder


def test_the_first_pull_pins_commit_hash_and_size(tmp_path: Path, hub: Hub) -> None:
    """In a small file that reads well in a diff; nothing else appears in the project."""
    project(tmp_path / "a").pull(NAME)
    commit = hub.repos["org/repo"].branches["main"]
    files = [{"sha256": OLD_SHA256, "size_bytes": len(OLD)}]
    assert locked(tmp_path / "a") == {NAME: {"source": SOURCE, "revision": commit, "files": files}}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["llmbench.lock", "models"]
    before = (tmp_path / "a" / "llmbench.lock").read_bytes()
    project(tmp_path / "a").pull(NAME)
    assert (tmp_path / "a" / "llmbench.lock").read_bytes() == before


def test_another_machine_gets_the_same_file_after_the_branch_has_moved(tmp_path: Path, hub: Hub) -> None:
    """The commit is pinned, not the branch."""
    first = project(tmp_path / "a").pull(NAME)
    hub.repos["org/repo"].commit({"m.gguf": NEW})
    assert project(clone(tmp_path / "b", tmp_path / "a")).ensure(NAME).sha256 == first.sha256 == OLD_SHA256


def test_an_update_moves_the_pin_on_purpose(tmp_path: Path, hub: Hub) -> None:
    """To what the branch has now; others get it with the changed lock, without a word more."""
    project(tmp_path / "a").pull(NAME)
    stale = clone(tmp_path / "b", tmp_path / "a")
    project(stale).pull(NAME)
    commit = hub.repos["org/repo"].commit({"m.gguf": NEW})
    assert project(tmp_path / "a").pull(NAME, update=True).sha256 == NEW_SHA256
    assert locked(tmp_path / "a")[NAME]["revision"] == commit
    (stale / "llmbench.lock").write_bytes((tmp_path / "a" / "llmbench.lock").read_bytes())
    with pytest.raises(ModelFileError, match=f"wanted is sha256 {NEW_SHA256}") as caught:
        project(stale).find(NAME)
    assert caught.value.category is Category.MODEL_MISSING
    assert project(stale).ensure(NAME).sha256 == NEW_SHA256


def test_an_update_to_the_same_bytes_downloads_nothing(tmp_path: Path, hub: Hub) -> None:
    """A new commit with the same file moves the pinned commit alone."""
    project(tmp_path).pull(NAME)
    commit = hub.repos["org/repo"].commit({"m.gguf": OLD, "README.md": b""})
    gets = len(hub.asked("GET"))
    project(tmp_path).pull(NAME, update=True)
    assert len(hub.asked("GET")) == gets
    assert locked(tmp_path)[NAME]["revision"] == commit
    assert project(tmp_path).entries()[0].revision == commit


def test_an_update_to_the_same_bytes_of_an_address_leaves_nothing_behind(tmp_path: Path, hub: Hub) -> None:
    """An address has no hash to ask for: the file is fetched, compared and thrown away."""
    hub.pages["/m.gguf"] = OLD
    first = project(tmp_path, f"{hub.cdn_url}/m.gguf").pull(NAME)
    assert project(tmp_path, f"{hub.cdn_url}/m.gguf").pull(NAME, update=True) == first
    assert files_in(tmp_path / "models") == LANDED


def test_only_an_update_changes_what_is_pinned(tmp_path: Path, hub: Hub) -> None:
    """Another project has fetched the same bytes at another commit into the cache that both share."""
    lock = tmp_path / "llmbench.lock"
    store(tmp_path, SOURCE, lock=lock).pull(NAME)
    before = lock.read_bytes()
    hub.repos["org/repo"].commit({"m.gguf": OLD, "README.md": b""})
    (tmp_path / "other").mkdir()
    store(tmp_path, SOURCE, lock=tmp_path / "other" / "llmbench.lock").pull(NAME, update=True)
    store(tmp_path, SOURCE, lock=lock).pull(NAME)
    assert lock.read_bytes() == before


def test_what_llmbench_yaml_pins_is_not_updated(tmp_path: Path, hub: Hub) -> None:
    """Its hash is changed there, by hand."""
    project(tmp_path, SOURCE, OLD_SHA256).pull(NAME)
    hub.repos["org/repo"].commit({"m.gguf": NEW})
    hub.seen.clear()
    assert project(tmp_path, SOURCE, OLD_SHA256).pull(NAME, update=True).sha256 == OLD_SHA256
    assert hub.seen == []


def test_a_commit_that_is_gone_is_an_error(tmp_path: Path, hub: Hub) -> None:
    """Its owner rewrote history: nothing else is taken instead."""
    project(tmp_path / "a").pull(NAME)
    repo = hub.repos["org/repo"]
    commit = repo.branches["main"]
    repo.commit({"m.gguf": NEW, "x": b""})
    del repo.commits[commit]
    with pytest.raises(ModelFileError, match=f"org/repo has no revision {commit}") as caught:
        project(clone(tmp_path / "b", tmp_path / "a")).pull(NAME)
    assert f"llmbench.lock pins this commit, `llmbench models pull --update {NAME}`" in caught.value.hint


def test_another_file_under_the_pinned_commit_is_refused_before_it_is_fetched(tmp_path: Path, hub: Hub) -> None:
    """A hub that lies, or a lock that was tampered with: both hashes, and how to move the pin."""
    project(tmp_path / "a").pull(NAME)
    repo = hub.repos["org/repo"]
    repo.commits[repo.branches["main"]]["m.gguf"] = NEW
    gets = len(hub.asked("GET"))
    with pytest.raises(ModelFileError, match=f"has sha256 {NEW_SHA256}, wanted is {OLD_SHA256}") as caught:
        project(clone(tmp_path / "b", tmp_path / "a")).pull(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    assert f"llmbench models pull --update {NAME}" in caught.value.hint
    assert len(hub.asked("GET")) == gets
    assert files_in(tmp_path / "b") == []


def test_a_web_address_is_held_to_what_it_was(tmp_path: Path, hub: Hub) -> None:
    """Without a commit the hash alone decides."""
    hub.pages["/m.gguf"] = OLD
    source = f"{hub.cdn_url}/m.gguf"
    project(tmp_path / "a", source).pull(NAME)
    hub.pages["/m.gguf"] = NEW
    message = f"what arrived has sha256 {NEW_SHA256}, llmbench.lock says {OLD_SHA256}"
    with pytest.raises(ModelFileError, match=message):
        project(clone(tmp_path / "b", tmp_path / "a"), source).pull(NAME)
    assert project(tmp_path / "b", source).pull(NAME, update=True).sha256 == NEW_SHA256
    assert locked(tmp_path / "b")[NAME]["files"] == [{"sha256": NEW_SHA256, "size_bytes": len(NEW)}]


def test_a_package_without_a_version_is_held_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index may have another file under the same name tomorrow."""
    use_index(monkeypatch, tmp_path / "index")
    wheel(tmp_path / "index", "tiny_model", {"tiny_model/m.gguf": OLD})
    project(tmp_path / "a", "pypi:tiny-model").pull(NAME)
    wheel(tmp_path / "index", "tiny_model", {"tiny_model/m.gguf": NEW})
    with pytest.raises(ModelFileError, match=f"has sha256 {NEW_SHA256}, wanted is {OLD_SHA256}"):
        project(clone(tmp_path / "b", tmp_path / "a"), "pypi:tiny-model").pull(NAME)


def test_every_part_of_a_split_model_is_pinned(tmp_path: Path, hub: Hub) -> None:
    """In order, with its own hash and size."""
    parts = split_gguf(2)
    hub.repo("org/split", {f"s-0000{number}-of-00002.gguf": part for number, part in enumerate(parts, 1)})
    project(tmp_path, "hf:org/split/s-00001-of-00002.gguf").pull(NAME)
    files = [{"sha256": hashlib.sha256(part).hexdigest(), "size_bytes": len(part)} for part in parts]
    assert locked(tmp_path)[NAME]["files"] == files


@pytest.mark.parametrize("kind", ["a hash in llmbench.yaml", "a path", "no lock"])
def test_what_needs_no_pin_gets_none(tmp_path: Path, hub: Hub, kind: str) -> None:
    """A sha256 in llmbench.yaml or the catalogue is a pin; a user's own file may change; and without llmbench.yaml
    there is nothing that is not pinned."""
    if kind == "a path":
        (tmp_path / "own.gguf").write_bytes(OLD)
        project(tmp_path, f"path:{tmp_path}/own.gguf").pull(NAME)
    elif kind == "no lock":
        store(tmp_path, SOURCE).pull(NAME)
    else:
        project(tmp_path, SOURCE, OLD_SHA256).pull(NAME)
    assert not (tmp_path / "llmbench.lock").exists()


def test_the_lock_lies_beside_llmbench_yaml(tmp_path: Path) -> None:
    """Wherever that is; without it there is none."""
    assert config.resolve({}, {}, {}, tmp_path).lock_path is None
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "llmbench.yaml").write_text("")
    found = config.resolve({"config": str(tmp_path / "conf" / "llmbench.yaml")}, {}, {}, tmp_path)
    assert found.lock_path == tmp_path / "conf" / "llmbench.lock"


def test_a_model_that_is_in_the_cache_already_is_pinned_as_it_is(tmp_path: Path, hub: Hub) -> None:
    """Another project fetched it: `pull` asks nobody and pins what is here."""
    store(tmp_path, SOURCE).pull(NAME)
    hub.seen.clear()
    store(tmp_path, SOURCE, lock=tmp_path / "llmbench.lock").pull(NAME)
    assert hub.seen == []
    assert locked(tmp_path)[NAME]["revision"] == hub.repos["org/repo"].branches["main"]


def test_a_changed_source_has_no_pin_yet(tmp_path: Path, hub: Hub) -> None:
    """Whoever edits llmbench.yaml wants another file; its first pull pins it anew."""
    hub.repo("org/other", {"m.gguf": NEW})
    project(tmp_path).pull(NAME)
    assert project(tmp_path, "hf:org/other/m.gguf").pull(NAME).sha256 == NEW_SHA256
    assert locked(tmp_path)[NAME]["source"] == "hf:org/other/m.gguf"


def test_a_copied_cache_is_recognised_by_the_lock(tmp_path: Path, hub: Hub) -> None:
    """Files without their notes are worth keeping where something says what they have to be."""
    file = project(tmp_path).pull(NAME)
    Path(f"{file.path}.json").unlink()
    hub.seen.clear()
    assert project(tmp_path).find(NAME) == file
    assert project(tmp_path).entries()[0].revision == hub.repos["org/repo"].branches["main"]
    assert hub.seen == []


BROKEN = {
    "a merge conflict": "<<<<<<< HEAD\n",
    "an empty file": "",
    "another version": '{"version": 2, "models": {}}',
    "a hash that is none": json.dumps(
        {"version": 1, "models": {NAME: {"source": SOURCE, "files": [{"sha256": "x", "size_bytes": 1}]}}}
    ),
    "no files": json.dumps({"version": 1, "models": {NAME: {"source": SOURCE, "files": []}}}),
    "too much": " " * (4 << 20) + "{}",
    "depth": "[" * 100_000,
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_lock_that_makes_no_sense_is_told_and_left_alone(tmp_path: Path, hub: Hub, case: str) -> None:
    """It is never taken for "nothing is pinned"."""
    (tmp_path / "llmbench.lock").write_text(BROKEN[case])
    for get in (project(tmp_path).find, project(tmp_path).pull):
        with pytest.raises(ConfigError, match=r"llmbench\.lock: i"):
            get(NAME)
    assert (tmp_path / "llmbench.lock").read_text() == BROKEN[case]
    assert hub.seen == []


def test_a_lock_that_cannot_be_written_keeps_the_model_from_landing(tmp_path: Path, hub: Hub) -> None:
    """Nothing is used unpinned; what was downloaded waits, and lands once the lock can be written."""
    lock = tmp_path / "gone" / "llmbench.lock"
    models = store(tmp_path, SOURCE, lock=lock)
    with pytest.raises(ModelFileError, match="cannot pin the model in") as caught:
        models.pull(NAME)
    assert "sha256 in llmbench.yaml" in caught.value.hint
    assert not (tmp_path / "models" / LANDED[0]).exists()
    lock.parent.mkdir()
    gets = len(hub.asked("GET"))
    assert models.pull(NAME).sha256 == OLD_SHA256
    assert len(hub.asked("GET")) == gets


PIN = """
import sys
from pathlib import Path
from pytest_llmbench.models.lockfile import LockedFile, LockedModel, Lockfile

for number in range(10):
    entry = LockedModel(source="hf:o/r/m.gguf", files=(LockedFile(sha256="0" * 64, size_bytes=number),))
    Lockfile(Path(sys.argv[1])).record(f"{sys.argv[2]}:Q{number}", entry)
"""


def test_processes_that_pin_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each reads, adds and writes in its turn; the file is whole at any moment, and sorted in the end."""
    processes = [start(PIN, tmp_path / "llmbench.lock", name) for name in "cab"]
    while any(process.poll() is None for process in processes):
        Lockfile(tmp_path / "llmbench.lock").entry("a:Q0")
    assert [process.communicate()[1] for process in processes] == ["", "", ""]
    assert list(locked(tmp_path)) == sorted(f"{name}:Q{number}" for name in "abc" for number in range(10))


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """Every field, and nothing for a model that is not there."""
    entry = LockedModel(source=SOURCE, revision="c0ffee", files=(LockedFile(sha256="a" * 64, size_bytes=5),))
    lock = Lockfile(tmp_path / "llmbench.lock")
    lock.record(NAME, entry)
    assert (lock.entry(NAME), lock.entry("other")) == (entry, None)


def test_two_models_are_pulled_and_pinned_side_by_side(tmp_path: Path, hub: Hub) -> None:
    """Threads of one process take their turns, too."""
    files = {f"m{number}.gguf": noisy(16, seed=number) for number in range(6)}
    hub.repo("org/many", files)
    definitions = {}
    for file in files:
        definitions |= define(f"hf:org/many/{file}", name=f"{file[:2]}:Q8_0")
    models = ModelStore(tmp_path / "models", definitions, offline=False, lock=tmp_path / "llmbench.lock")
    pulled = models.pull_all(list(definitions), jobs=3)
    assert [type(one.file) for one in pulled] == [ModelFile] * 6
    assert list(locked(tmp_path)) == [f"m{number}:Q8_0" for number in range(6)]


def test_a_lock_of_a_later_format_is_not_called_damaged(tmp_path: Path, hub: Hub) -> None:
    """Deleting it would lose the pins of those who can read it."""
    (tmp_path / "llmbench.lock").write_text('{"version": 2, "models": {}}')
    with pytest.raises(ConfigError, match="is of format 2, this llmbench reads format 1") as caught:
        project(tmp_path).pull(NAME)
    assert "upgrade pytest-llmbench" in caught.value.hint
    assert "delete" not in caught.value.hint


def test_offline_by_the_hubs_own_switch_does_not_blame_the_pin(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--update` would need the network just as much."""
    project(tmp_path).pull(NAME)
    shutil.rmtree(tmp_path / "models")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelFileError, match="HF_HUB_OFFLINE") as caught:
        project(tmp_path).pull(NAME)
    assert "--update" not in caught.value.hint


def test_offline_with_another_file_than_the_pinned_one(tmp_path: Path, hub: Hub) -> None:
    """The message does not deny the file that is here."""
    project(tmp_path).pull(NAME)
    text = (tmp_path / "llmbench.lock").read_text()
    (tmp_path / "llmbench.lock").write_text(text.replace(OLD_SHA256, "0" * 64))
    models = ModelStore(tmp_path / "models", define(SOURCE), offline=True, lock=tmp_path / "llmbench.lock")
    with pytest.raises(ModelFileError, match="the pinned file of the model tiny:Q8_0 is not here"):
        models.ensure(NAME)


def test_a_built_in_model_is_pinned_by_the_catalogue(tmp_path: Path) -> None:
    """Nobody is sent to a line of llmbench.yaml that is not there."""
    models = ModelStore(tmp_path / "models", config.load(None).models, offline=True)
    entry = models.entry("smollm2-135m:Q4_1")
    assert entry.pinned_by == "the built-in catalogue"
    with pytest.raises(ModelFileError, match="pinned in the built-in catalogue") as caught:
        check_pin(
            Order(entry.name, entry.source, (), lambda *_: None, Pin(entry.pinned_by, (str(entry.sha256),))),
            ["0" * 64],
            "what arrived",
        )
    assert "define it in llmbench.yaml under a name of its own" in caught.value.hint
    assert "correct its sha256" not in caught.value.hint

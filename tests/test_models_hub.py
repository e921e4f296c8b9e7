"""Models from the Hugging Face Hub: found, downloaded, resumed, checked, refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_samples import noisy, split_gguf
from hub_server import Fault, Hub, used_hub
from model_stores import NAME, define, files_in, store

from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models import remote
from pytest_llmbench.models.gguf_split import read_model
from pytest_llmbench.models.model_store import ModelStore
from pytest_llmbench.models.transfer import Progress
from pytest_llmbench.records import ModelFile

DATA = noisy(256)
SHA256 = hashlib.sha256(DATA).hexdigest()
OTHER = noisy(256, seed=2)
SOURCE = "hf:org/repo/m-Q8_0.gguf"
LANDED = ["tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"]
PARTS = split_gguf(3)
SPLIT = {f"big/s-0000{number}-of-00003.gguf": part for number, part in enumerate(PARTS, 1)}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The only hub there is, with one repository."""
    with used_hub(monkeypatch) as hub:
        hub.repo("org/repo", {"m-Q8_0.gguf": DATA, "sub/folder/m-Q4_0.gguf": OTHER, "README.md": b"# m", **SPLIT})
        yield hub


def pulled(folder: Path, source: str = SOURCE) -> ModelFile:
    """A model pulled into a folder, as it should be."""
    file = store(folder, source).pull(NAME)
    assert files_in(folder / "models") == LANDED
    return file


def refused(folder: Path, source: str = SOURCE) -> ModelFileError:
    """The error of a pull that leaves nothing under the final name."""
    with pytest.raises(ModelFileError) as caught:
        store(folder, source).pull(NAME)
    assert not (folder / "models" / LANDED[0]).exists()
    return caught.value


def test_a_model_is_fetched_at_the_commit_of_its_branch(tmp_path: Path, hub: Hub) -> None:
    """One question about the branch, then the bytes of that commit, whose hash is the one the hub tells."""
    file = pulled(tmp_path)
    commit = hub.repos["org/repo"].branches["main"]
    assert (file.sha256, file.size_bytes, file.source) == (SHA256, len(DATA), SOURCE)
    assert Path(file.path).read_bytes() == DATA
    assert [(seen.method, seen.path.split("/")[4]) for seen in hub.seen[:2]] == [("HEAD", "main"), ("GET", commit)]
    assert store(tmp_path, SOURCE).entries()[0].revision == commit


@pytest.mark.parametrize("revision", ["main", "old", "refs/pr/1"])
def test_a_revision_is_a_branch_a_tag_or_a_commit(tmp_path: Path, hub: Hub, revision: str) -> None:
    """It stands behind @; files may lie in folders."""
    repo = hub.repos["org/repo"]
    repo.branches |= {"old": repo.branches["main"], "refs/pr/1": repo.branches["main"]}
    repo.commit({"sub/folder/m-Q4_0.gguf": DATA})
    wanted = SHA256 if revision == "main" else hashlib.sha256(OTHER).hexdigest()
    assert pulled(tmp_path, f"hf:org/repo/sub/folder/m-Q4_0.gguf@{revision}").sha256 == wanted
    assert pulled(tmp_path / "commit", f"{SOURCE}@{repo.branches['old']}").sha256 == SHA256


def test_a_model_that_is_here_asks_nobody(tmp_path: Path, hub: Hub) -> None:
    """Neither `pull` nor `ensure` looks whether the branch has moved."""
    first = pulled(tmp_path)
    hub.seen.clear()
    assert store(tmp_path, SOURCE).ensure(NAME) == store(tmp_path, SOURCE).pull(NAME) == first
    assert hub.seen == []


def test_a_missing_model_is_announced_before_it_is_fetched(tmp_path: Path, hub: Hub) -> None:
    """A test run that fetches gigabytes says so, once."""
    said: list[str] = []
    for _ in range(2):
        store(tmp_path, SOURCE).ensure(NAME, announce=said.append)
    assert said == [f"fetching the model {NAME} from {SOURCE}"]


def test_a_split_model_is_fetched_whole(tmp_path: Path, hub: Hub) -> None:
    """All parts, under the names by which an engine finds them, read as one model; its hash is over their hashes."""
    file = store(tmp_path, "hf:org/repo/big/s-00001-of-00003.gguf").pull(NAME)
    names = [f"tiny/tiny-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert files_in(tmp_path / "models") == sorted([*names, f"{names[0]}.json"])
    assert file.path == str(tmp_path / "models" / names[0])
    assert file.size_bytes == sum(map(len, PARTS))
    hashes = [hashlib.sha256(part).hexdigest() for part in PARTS]
    assert file.sha256 == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert len(read_model(file.path).tensors) == 3
    assert store(tmp_path, "hf:org/repo/big/s-00001-of-00003.gguf").find(NAME) == file


def test_a_damaged_part_is_noticed_and_mended(tmp_path: Path, hub: Hub) -> None:
    """Each part has its own hash; a lost part reads as missing, and pulling again brings all."""
    source = "hf:org/repo/big/s-00001-of-00003.gguf"
    file = store(tmp_path, source).pull(NAME)
    second = Path(file.path.replace("00001-of", "00002-of"))
    second.write_bytes(PARTS[1][:-1] + b"!")
    with pytest.raises(ModelFileError, match="has changed since it was stored"):
        store(tmp_path, source).find(NAME)
    assert store(tmp_path, source).pull(NAME) == file
    second.unlink()
    with pytest.raises(ModelFileError, match="1 of the 3 parts") as caught:
        store(tmp_path, source).find(NAME)
    assert caught.value.category is Category.MODEL_MISSING
    assert store(tmp_path, source).ensure(NAME) == file


def test_parts_that_arrived_are_not_fetched_again(tmp_path: Path, hub: Hub) -> None:
    """After a failure in the last part the next pull asks for no more than that."""
    source, last = "hf:org/repo/big/s-00001-of-00003.gguf", "big/s-00003-of-00003.gguf"
    hub.faults[last].append(Fault(status=404))
    with pytest.raises(ModelFileError, match="not there"):
        store(tmp_path, source).pull(NAME)
    before = len(hub.asked("GET"))
    store(tmp_path, source).pull(NAME)
    assert len(hub.asked("GET")) == before + 1


def test_a_repository_without_one_of_the_parts_is_told(tmp_path: Path, hub: Hub) -> None:
    """Before anything is downloaded."""
    del hub.repos["org/repo"].commits[hub.repos["org/repo"].branches["main"]]["big/s-00002-of-00003.gguf"]
    error = refused(tmp_path, "hf:org/repo/big/s-00001-of-00003.gguf")
    assert "has no file big/s-00002-of-00003.gguf" in str(error)
    assert hub.asked("GET") == []


def test_a_split_model_is_named_by_its_first_part(tmp_path: Path, hub: Hub) -> None:
    """The error has the name that is meant."""
    with pytest.raises(ConfigError, match="names part 2 of 3") as caught:
        store(tmp_path, "hf:org/repo/big/s-00002-of-00003.gguf").pull(NAME)
    assert "s-00001-of-00003.gguf" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("hf:org/repo/m-Q8_O.gguf", "org/repo has no file m-Q8_O.gguf at main", "did you mean m-Q8_0.gguf"),
        ("hf:org/repo/zzz.gguf", "org/repo has no file zzz.gguf at main", "it has big/s-00001-of-00003.gguf, "),
        ("hf:org/other/m.gguf", "there is no repository org/other, or it is private", "set HF_TOKEN, or log in"),
        ("hf:org/repo/m-Q8_0.gguf@v2", "org/repo has no revision v2", "/org/repo/tree/main"),
    ],
)
def test_what_the_hub_does_not_have_is_told_with_what_it_has(
    tmp_path: Path, hub: Hub, source: str, message: str, hint: str
) -> None:
    """Repository, file and revision each have their own error."""
    error = refused(tmp_path, source)
    assert message in error.message
    assert hint in error.hint
    assert files_in(tmp_path / "models") == []


@pytest.mark.parametrize("choice", ["gated", "private"])
def test_a_guarded_model_needs_a_token_that_only_the_hub_sees(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    """Without one, with a stranger's, with the right one; the servers of the bytes get none."""
    hub.repo("org/guarded", {"m.gguf": DATA}, **{choice: True}, readers={"hf_right"})
    without = refused(tmp_path, "hf:org/guarded/m.gguf")
    assert without.category is Category.AUTH
    assert "set HF_TOKEN, or log in with `hf auth login`" in without.hint
    monkeypatch.setenv("HF_TOKEN", "hf_strangers_token")
    stranger = refused(tmp_path, "hf:org/guarded/m.gguf")
    if choice == "gated":
        assert "org/guarded is gated" in stranger.message
        assert "accept its conditions on" in stranger.hint
        assert stranger.category is Category.AUTH
    assert "hf_strangers_token" not in str(stranger)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert pulled(tmp_path, "hf:org/guarded/m.gguf").sha256 == SHA256
    assert {seen.headers.get("authorization") for seen in hub.asked("GET", "cdn")} == {None}
    assert hub.asked("GET", "hub")[-1].headers["authorization"] == "Bearer hf_right"


def test_nothing_but_the_question_reaches_the_hub(tmp_path: Path, hub: Hub) -> None:
    """No telemetry: which libraries are installed here is nobody's business."""
    pulled(tmp_path)
    assert {seen.headers["user-agent"] for seen in hub.seen} == {"pytest-llmbench"}
    assert [seen.path.split("/")[1] for seen in hub.seen] == ["org", "org", "cdn"]


HALF = len(DATA) // 2
REST = ["", f"bytes={HALF}-"]
AGAIN = [*REST, ""]
WRONG_RANGE = {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}
PASSING = {
    "a cut": ([Fault(cut_after=HALF)], REST),
    "a cut before the first byte": ([Fault(cut_after=0)], ["", ""]),
    "a cut chunked answer": ([Fault(cut_after=HALF, headers={"Content-Length": ""})], REST),
    "a server that ignores the range": ([Fault(cut_after=HALF), Fault(ignores_range=True)], REST),
    "another range than asked for": ([Fault(cut_after=HALF), Fault(headers=WRONG_RANGE)], AGAIN),
    "a range that makes no sense": ([Fault(cut_after=HALF), Fault(headers={"Content-Range": "bytes"})], AGAIN),
    "a file that changed": ([Fault(cut_after=HALF, headers={"ETag": '"before"'})], REST),
    "a changed file under the old range": (
        [Fault(cut_after=HALF), Fault(headers={"ETag": '"after"', "Content-Range": f"bytes {HALF}-9/9"})],
        REST,
    ),
    "nothing after the range": ([Fault(cut_after=HALF), Fault(status=416)], AGAIN),
    "an overloaded server": ([Fault(status=503)], ["", ""]),
    "too many requests in the middle": ([Fault(cut_after=HALF), Fault(status=429)], [*REST, REST[1]]),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_passes_does_not_keep_a_model_from_arriving(tmp_path: Path, hub: Hub, case: str) -> None:
    """The file is right in the end, and no byte is asked for twice that could be trusted."""
    faults, ranges = PASSING[case]
    hub.faults["m-Q8_0.gguf"].extend(faults)
    assert Path(pulled(tmp_path).path).read_bytes() == DATA
    assert hub.ranges() == ranges


def test_a_silent_server_is_given_up_and_asked_again(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the stall timeout a new connection gets the rest."""
    monkeypatch.setattr(remote, "STALL_TIMEOUT_S", 0.3)
    hub.faults["m-Q8_0.gguf"].append(Fault(stall_after=HALF))
    assert pulled(tmp_path).sha256 == SHA256
    assert hub.ranges() == REST


def test_the_wish_of_a_busy_server_is_respected(tmp_path: Path, hub: Hub) -> None:
    """`Retry-After` in seconds or as a date; otherwise the wait doubles."""
    hub.head_faults.extend([Fault(status=503), Fault(status=503), Fault(status=429, headers={"Retry-After": "7"})])
    hub.faults["m-Q8_0.gguf"].append(Fault(status=503, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}))
    pulled(tmp_path)
    assert hub.waits == [0.5, 1.0, 7.0, 0.0]


def test_a_server_that_wants_an_hour_is_not_waited_for(tmp_path: Path, hub: Hub) -> None:
    """The user is told what it asks for."""
    hub.head_faults.append(Fault(status=429, headers={"Retry-After": "3600"}))
    error = refused(tmp_path)
    assert error.category is Category.RATE_LIMITED
    assert "asks to be left alone for 3600 s" in error.message
    assert hub.waits == []


def test_attempts_end_where_nothing_gets_on(tmp_path: Path, hub: Hub) -> None:
    """Five in a row without a new byte; what has arrived waits for the next pull."""
    hub.faults["m-Q8_0.gguf"].extend([Fault(cut_after=HALF), *[Fault(cut_after=0)] * 5])
    error = refused(tmp_path)
    assert error.category in {Category.NETWORK_RESET, Category.STREAM_TRUNCATED}
    assert "goes on from where it was" in error.hint
    hub.faults.clear()
    hub.seen.clear()
    assert pulled(tmp_path).sha256 == SHA256
    assert [seen.headers.get("range") for seen in hub.asked("GET")] == [f"bytes={HALF}-"]
    assert hub.asked("GET")[0].headers["if-range"].startswith('"cdn-')


PAGE = b"<!DOCTYPE html><html>Sign in" + bytes(len(DATA) - 28)
FINAL = {
    "another file of this size": ([Fault(body=OTHER)], f"what arrived has sha256 {hashlib.sha256(OTHER).hexdigest()}"),
    "a shorter length than the hub tells": (
        [Fault(headers={"Content-Length": str(HALF)})],
        f"the server announces {HALF} bytes, it has to be {len(DATA)}",
    ),
    "a longer length than the hub tells": (
        [Fault(headers={"Content-Length": str(len(DATA) + 9)})],
        f"the server announces {len(DATA) + 9} bytes, it has to be {len(DATA)}",
    ),
    "more bytes than the hub tells": (
        [Fault(body=DATA + b"more", headers={"Content-Length": ""})],
        "more bytes came than the file should have",
    ),
    "a web page": ([Fault(body=PAGE)], "it is a web page"),
    "no model": ([Fault(body=bytes(len(DATA)))], "it is not a GGUF file"),
    "a compressed file": ([Fault(headers={"Content-Encoding": "gzip"})], "it comes compressed"),
}


@pytest.mark.parametrize("case", FINAL)
def test_what_is_not_the_file_is_refused_and_gone(tmp_path: Path, hub: Hub, case: str) -> None:
    """One attempt, a message that says what is wrong, and nothing of it left."""
    faults, message = FINAL[case]
    hub.faults["m-Q8_0.gguf"].extend(faults)
    error = refused(tmp_path)
    assert message in error.message
    assert error.category is Category.LOCAL_CORRUPT_MODEL
    assert files_in(tmp_path / "models") == []
    assert len(hub.asked("GET")) == 1
    assert pulled(tmp_path).sha256 == SHA256


def test_both_hashes_of_a_damaged_download_are_told(tmp_path: Path, hub: Hub) -> None:
    """A hub's own client would have kept the file: its size is right."""
    hub.faults["m-Q8_0.gguf"].append(Fault(body=DATA[:-1] + b"!"))
    error = refused(tmp_path)
    assert f"the hub says {SHA256}" in error.message
    assert hashlib.sha256(DATA[:-1] + b"!").hexdigest() in error.message


def test_a_small_file_without_a_hash_at_the_hub_is_fetched_too(tmp_path: Path, hub: Hub) -> None:
    """Outside of the large file storage the hub tells a git hash: ours is computed from what arrives."""
    hub.repo("org/plain", {"m.gguf": DATA}, lfs=False)
    hub.faults["m.gguf"].append(Fault(cut_after=HALF))
    assert pulled(tmp_path, "hf:org/plain/m.gguf").sha256 == SHA256
    assert [seen.headers.get("range", "") for seen in hub.asked("GET", "hub")] == REST


def test_a_disk_without_room_is_told_before_the_first_byte(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is needed and what is free; what had arrived before is kept."""
    hub.faults["m-Q8_0.gguf"].extend([Fault(cut_after=HALF), *[Fault(status=404)]])
    refused(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1000})())
    error = refused(tmp_path)
    assert error.category is Category.LOCAL_DISK_FULL
    assert f"it needs {len(DATA) - HALF} more bytes, 1000 are free" in error.message
    monkeypatch.undo()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert pulled(tmp_path).sha256 == SHA256
    assert hub.asked("GET")[-1].headers["range"] == f"bytes={HALF}-"


@pytest.mark.parametrize(("kind", "message"), [("ours", "offline use was asked for"), ("theirs", "HF_HUB_OFFLINE")])
def test_offline_nobody_is_asked(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    """Our own switch, and the hub library's."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", kind == "theirs")
    with pytest.raises(ModelFileError, match=message) as caught:
        store(tmp_path, SOURCE, offline=kind == "ours").ensure(NAME)
    assert caught.value.category is Category.MODEL_MISSING
    assert hub.seen == []


def test_a_hub_that_cannot_be_reached_is_told(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to look at; a few attempts are made."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = refused(tmp_path)
    assert error.category is Category.NETWORK_REFUSED
    assert "is there a network?" in error.hint
    assert hub.waits == [0.5, 1.0, 2.0, 4.0]


def test_a_proxy_is_not_asked_for_this_machine(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever the environment says."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert pulled(tmp_path).sha256 == SHA256


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_ENDPOINT", "hub.example"),
        ("HTTPS_PROXY", "nonsense://x"),
        ("ALL_PROXY", "socks5h://127.0.0.1:1080"),
        ("SSL_CERT_FILE", "/nowhere"),
    ],
)
def test_an_environment_that_cannot_work_is_told(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The variable is named; nothing is tried five times."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        store(tmp_path, SOURCE).pull(NAME)
    assert name in str(caught.value)
    assert hub.waits == []


def test_models_are_pulled_side_by_side_and_one_failure_is_one_failure(tmp_path: Path, hub: Hub) -> None:
    """The slow one does not keep the others waiting, the missing one does not keep them from arriving."""
    hub.faults["m-Q8_0.gguf"].append(Fault(slow_after=HALF))
    sources = {"slow": "m-Q8_0.gguf", "gone": "gone.gguf", "other": "sub/folder/m-Q4_0.gguf"}
    definitions = {}
    for name, file in sources.items():
        definitions |= define(f"hf:org/repo/{file}", name=f"{name}:Q8_0")
    told: list[str] = []

    def progress_of(name: str) -> Progress:
        def progress(done: int, total: int | None, what: str) -> None:
            told.append(what)
            if name == "other:Q8_0" and done == total:
                hub.release.set()

        return progress

    models = ModelStore(tmp_path / "models", definitions, offline=False)
    slow, gone, other = models.pull_all(["slow", "gone", "other", "SLOW:q8_0"], 2, progress_of)
    assert slow.file
    assert slow.file.sha256 == SHA256
    assert other.file
    assert isinstance(gone.error, ModelFileError)
    assert {"downloading slow:Q8_0", "downloading other:Q8_0"} <= set(told)


def test_the_real_model_survives_a_cut(tmp_path: Path, hub: Hub, smollm2: ModelFile) -> None:
    """98 MB, in two pieces."""
    hub.repo("org/real", {"smollm2.gguf": Path(smollm2.path).read_bytes()})
    hub.faults["smollm2.gguf"].append(Fault(cut_after=40_000_000))
    file = pulled(tmp_path, "hf:org/real/smollm2.gguf")
    assert (file.sha256, file.size_bytes) == (smollm2.sha256, smollm2.size_bytes)
    assert hub.asked("GET")[-1].headers["range"] == "bytes=40000000-"


def test_a_pull_that_waits_for_the_hub_says_so(tmp_path: Path, hub: Hub) -> None:
    """While it asks for the file's name, and while it asks for its bytes."""
    hub.head_faults.append(Fault(status=503))
    hub.faults["m-Q8_0.gguf"].append(Fault(cut_after=HALF))
    told: list[tuple[int, str]] = []
    store(tmp_path, SOURCE).pull(NAME, lambda done, _total, what: told.append((done, what)))
    assert [one for one in told if one[1] == f"retrying {NAME}"] == [
        (0, f"retrying {NAME}"),
        (HALF, f"retrying {NAME}"),
    ]
    assert len(hub.waits) == 2


@pytest.mark.parametrize("token", ["hf_sécretsecretsecret", "hf_secret\x7fsecretsecret", "“hf_secretsecretsecret”"])
def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """A quotation mark that came along with it is the usual reason."""
    monkeypatch.setenv("HF_TOKEN", token)
    error = refused(tmp_path)
    assert error.category is Category.AUTH
    assert "HF_TOKEN" in error.hint
    assert "cret" not in str(error)
    assert hub.seen == []

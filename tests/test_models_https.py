"""Models from a web address: what may be asked for, where redirects may lead, what is remembered."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_samples import noisy, split_gguf
from hub_server import Fault, Hub, redirecting, used_hub
from model_stores import NAME, define, files_in, store

from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models.remote import RemoteFile, answered, client

DATA = noisy(64)
SHA256 = hashlib.sha256(DATA).hexdigest()
OTHER = noisy(64, seed=2)
HALF = len(DATA) // 2
REST = [f"bytes={HALF}-"]
LANDED = ["tiny/tiny-Q8_0.gguf", "tiny/tiny-Q8_0.gguf.json"]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A web server with a model in one file and one in three."""
    with used_hub(monkeypatch) as web:
        web.pages |= {"/models/m.gguf": DATA}
        web.pages |= {f"/models/s-0000{n}-of-00003.gguf": part for n, part in enumerate(split_gguf(3), 1)}
        yield web


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for this machine, trusted by us."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed, which makes the certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_model_is_fetched_from_its_address(tmp_path: Path, web: Hub) -> None:
    """One request, the file under our name; what may stand behind the ? is asked for and not shown."""
    told: list[str] = []
    source = f"{web.cdn_url}/models/m.gguf?key=hidden"
    file = store(tmp_path, source).pull(NAME, lambda _done, _total, what: told.append(what))
    assert (file.sha256, Path(file.path).read_bytes()) == (SHA256, DATA)
    assert files_in(tmp_path / "models") == LANDED
    assert len(web.seen) == 1
    assert set(told) == {f"downloading {NAME}"}


def test_the_parts_of_a_split_model_are_found_by_the_first(tmp_path: Path, web: Hub) -> None:
    """As at the hub; a list of hashes pins each."""
    source = f"{web.cdn_url}/models/s-00001-of-00003.gguf"
    file = store(tmp_path, source).pull(NAME)
    assert file.path.endswith("tiny-Q8_0-00001-of-00003.gguf")
    hashes = tuple(hashlib.sha256(part).hexdigest() for part in split_gguf(3))
    assert store(tmp_path, source, hashes).find(NAME) == file
    with pytest.raises(ModelFileError, match=f"has sha256 {hashes[1]}, wanted is {'0' * 64}"):
        store(tmp_path, source, (hashes[0], "0" * 64, hashes[2])).find(NAME)
    with pytest.raises(ModelFileError, match=r"has 3 parts, llmbench.yaml pins 1"):
        store(tmp_path, source, hashes[0]).find(NAME)


def test_a_model_in_one_part_replaces_one_in_three(tmp_path: Path, web: Hub) -> None:
    """After an edit of llmbench.yaml nothing of the old files stays."""
    store(tmp_path, f"{web.cdn_url}/models/s-00001-of-00003.gguf").pull(NAME)
    store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME)
    assert files_in(tmp_path / "models") == LANDED


def test_a_cut_is_mended_with_what_the_server_calls_the_file(tmp_path: Path, web: Hub) -> None:
    """`If-Range`: had the file changed, the whole of it would come."""
    web.faults["/models/m.gguf"].append(Fault(cut_after=HALF))
    assert store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME).sha256 == SHA256
    assert web.seen[-1].headers["range"] == f"bytes={HALF}-"
    assert web.seen[-1].headers["if-range"] == f'"{SHA256[:16]}"'


def test_a_server_that_does_not_name_its_file_is_asked_for_all_of_it(tmp_path: Path, web: Hub) -> None:
    """With no ETag, no date and no hash nothing would tell that the second half is of another file."""
    web.faults["/models/m.gguf"].append(Fault(cut_after=HALF, headers={"ETag": ""}))
    assert store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME).sha256 == SHA256
    assert web.ranges() == ["", ""]


def test_a_date_names_a_file_too_and_a_weak_tag_does_not(tmp_path: Path, web: Hub) -> None:
    """A weak ETag promises no equal bytes (RFC 9110, section 13.1.5)."""
    date = "Fri, 20 Nov 2026 10:00:00 GMT"
    told = {"ETag": 'W/"x"', "Last-Modified": date}
    web.faults["/models/m.gguf"].extend([Fault(cut_after=HALF, headers=told), Fault(headers=told)])
    assert store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME).sha256 == SHA256
    assert web.seen[-1].headers["if-range"] == date


def test_a_file_that_changes_between_two_attempts_is_fetched_anew(tmp_path: Path, web: Hub) -> None:
    """Never the first half of one and the second half of the other."""
    for folder, other in (("same", OTHER), ("longer", noisy(80)), ("shorter", noisy(40))):
        web.faults["/models/m.gguf"].append(Fault(cut_after=HALF, body=other, headers={"ETag": '"other"'}))
        assert store(tmp_path / folder, f"{web.cdn_url}/models/m.gguf").pull(NAME).sha256 == SHA256


LIE = Fault(cut_after=HALF, headers={"Content-Length": str(len(DATA))})


def test_a_length_that_the_server_does_not_have_is_an_error(tmp_path: Path, web: Hub) -> None:
    """It announces more than it has, again and again, and says so when asked for the rest: no half model is kept."""
    nothing = Fault(status=416, headers={"Content-Range": f"bytes */{HALF}"})
    web.faults["/models/m.gguf"].extend([LIE, nothing, Fault(status=503), LIE, nothing])
    with pytest.raises(ModelFileError, match=f"announced {len(DATA)} bytes and has {HALF}"):
        store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME)
    assert files_in(tmp_path / "models") == []


def test_a_server_that_never_sends_what_it_announces_is_given_up(tmp_path: Path, web: Hub) -> None:
    """Starting again and again is no progress."""
    web.faults["/models/m.gguf"].extend([LIE, Fault(status=416)] * 5)
    with pytest.raises(ModelFileError):
        store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME)
    assert len(web.seen) == 5
    assert not (tmp_path / "models" / LANDED[0]).exists()


def test_a_file_cut_short_at_its_source_is_no_model(tmp_path: Path, web: Hub) -> None:
    """Where neither hash nor size is known, the header tells that bytes are missing."""
    web.pages["/models/m.gguf"] = DATA[:HALF]
    with pytest.raises(ModelFileError) as caught:
        store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL
    assert files_in(tmp_path / "models") == []


def test_a_complete_file_whose_end_was_not_seen_is_not_fetched_again(tmp_path: Path, web: Hub) -> None:
    """A process that was killed after the last byte leaves a whole file: the next one hashes it."""
    work = tmp_path / "models" / ".work" / "tiny-Q8_0"
    work.mkdir(parents=True)
    source = f"{web.cdn_url}/models/m.gguf"
    (work / "tiny-Q8_0.gguf").write_bytes(DATA)
    (work / "tiny-Q8_0.gguf.part.json").write_text(
        f'{{"url": "{source}", "validator": "\\"x\\"", "size_bytes": {len(DATA)}}}'
    )
    assert store(tmp_path, source).pull(NAME).sha256 == SHA256
    assert web.seen == []


def test_a_draft_from_before_a_power_cut_is_trusted_only_with_a_hash(
    tmp_path: Path, web: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not yet on the disk may read as zeros."""
    source = f"{web.cdn_url}/models/m.gguf"
    for folder, sha256, ranges in (("a", None, ["", *REST, ""]), ("b", SHA256, ["", *REST, *REST])):
        web.seen.clear()
        web.faults["/models/m.gguf"].extend([Fault(cut_after=HALF), Fault(status=404)])
        with pytest.raises(ModelFileError):
            store(tmp_path / folder, source, sha256).pull(NAME)
        with monkeypatch.context() as restarted:
            restarted.setattr("psutil.boot_time", lambda: 4e9)
            assert store(tmp_path / folder, source, sha256).pull(NAME).sha256 == SHA256
        assert web.ranges() == ranges


def test_a_pinned_file_that_is_another_one_is_refused(tmp_path: Path, web: Hub) -> None:
    """Both hashes are told, and it is gone."""
    with pytest.raises(ModelFileError, match=f"what arrived has sha256 {SHA256}, llmbench.yaml says {'0' * 64}"):
        store(tmp_path, f"{web.cdn_url}/models/m.gguf", "0" * 64).pull(NAME)
    assert files_in(tmp_path / "models") == []


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, Category.AUTH),
        (403, Category.AUTH),
        (404, Category.MODEL_MISSING),
        (410, Category.MODEL_MISSING),
        (418, Category.INVALID_REQUEST),
        (429, Category.RATE_LIMITED),
        (500, Category.SERVER),
        (503, Category.OVERLOADED),
    ],
)
def test_each_status_has_its_category(tmp_path: Path, web: Hub, status: int, category: Category) -> None:
    """What may pass is tried five times, the rest once."""
    web.faults["/models/m.gguf"].extend([Fault(status=status)] * 5)
    with pytest.raises(ModelFileError, match=f"HTTP {status}") as caught:
        store(tmp_path, f"{web.cdn_url}/models/m.gguf").pull(NAME)
    assert caught.value.category is category
    assert len(web.seen) == (5 if status in {429, 500, 503} else 1)


def test_unencrypted_addresses_need_a_hash(web: Hub) -> None:
    """Anybody on the way could put another file there; on this machine there is no way."""
    with pytest.raises(ValueError, match="http:// can be changed on the way"):
        define("http://models.example/m.gguf")
    assert define("http://models.example/m.gguf", "0" * 64)
    assert define("http://[::1]:8000/m.gguf")


def test_redirects_are_followed_and_counted(tmp_path: Path, web: Hub) -> None:
    """To another server, too; one that leads in circles is given up."""
    with redirecting(f"{web.cdn_url}/models/m.gguf", 307) as (address, _):
        assert store(tmp_path, f"{address}/m.gguf").pull(NAME).sha256 == SHA256
    with (
        redirecting("{path}") as (address, seen),
        pytest.raises(ModelFileError, match="redirects more than 10 times"),
    ):
        store(tmp_path / "circle", f"{address}/m.gguf").pull(NAME)
    assert len(seen) == 10


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/m.gguf",
        "http://192.0.2.1/m.gguf",
        "http://[x",
        "http://127.0.0.1:99999/",
        "https://xn--a/",
    ],
)
def test_redirects_lead_nowhere_bad(tmp_path: Path, web: Hub, target: str) -> None:
    """No other scheme, no unencrypted way to another machine, nothing that is no address."""
    with redirecting(target) as (address, _), pytest.raises(ModelFileError, match="the server redirects") as caught:
        store(tmp_path, f"{address}/m.gguf").pull(NAME)
    assert caught.value.category is Category.LOCAL_CORRUPT_MODEL


def test_https_does_not_lead_to_http(tmp_path: Path, web: Hub, tls: ssl.SSLContext) -> None:
    """Not even on this machine: whoever wrote https wanted it."""
    with (
        redirecting(f"{web.cdn_url}/models/m.gguf", context=tls) as (address, seen),
        pytest.raises(ModelFileError, match="redirects from https to http"),
    ):
        store(tmp_path, f"{address}/m.gguf").pull(NAME)
    assert len(seen) == 1
    assert web.seen == []


def test_a_certificate_that_nobody_trusts_is_an_error_of_its_own(
    tmp_path: Path, web: Hub, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names the variable for certificates."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with redirecting("/", context=tls) as (address, _), pytest.raises(ModelFileError) as caught:
        store(tmp_path, f"{address}/m.gguf").pull(NAME)
    assert caught.value.category is Category.NETWORK_TLS
    assert web.waits == []
    assert "SSL_CERT_FILE" in caught.value.hint


def test_what_is_sent_to_one_server_is_not_sent_to_another(web: Hub) -> None:
    """A token goes to the server it is for, the same host on another port is another one."""
    with redirecting(f"{web.cdn_url}/models/m.gguf") as (address, seen), client() as connections:
        remote = RemoteFile(f"{address}/m.gguf", "m", {"Authorization": "Bearer secret"})
        with answered(connections, remote, {"Range": "bytes=5-"}) as response:
            response.read()
    assert seen[0]["authorization"] == "Bearer secret"
    assert "authorization" not in web.seen[0].headers
    assert web.seen[0].headers["range"] == "bytes=5-"
    assert "secret" not in repr(remote)


@pytest.mark.parametrize("source", ["https://host/s-00002-of-00003.gguf", "https://host/s-00001-of-00000.gguf"])
def test_only_the_first_part_stands_for_a_model(tmp_path: Path, source: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(ConfigError, match="names part"):
        store(tmp_path, source).pull(NAME)

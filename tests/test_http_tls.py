"""https over real sockets, with certificates made on the spot."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from asking import PATIENT
from raw_servers import background_loop, raw_server, read_request, saying

from pytest_llmbench import http
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http.connecting import tls_context

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


@pytest.fixture(autouse=True, params=["asyncio", "uvloop"])
def _on_both_loops(request):
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with background_loop(request.param):
        yield


AUTHORITY = """
[ca]
default_ca = ours
[ours]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = names
copy_extensions = copy
unique_subject = no
[names]
commonName = supplied
"""


class Certificates:
    """Self-signed ones in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "index").touch()
        (folder / "authority").write_text(AUTHORITY.format(folder=folder))

    def make(self, name: str, *, host: str = "IP:127.0.0.1", ends: str = "20991231000000Z") -> ssl.SSLContext:
        """A server's context with a new certificate."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "request", "pem"))
        _openssl(
            *(
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                "/CN=test",
            ),
            *("-addext", f"subjectAltName={host}", "-keyout", key, "-out", request),
        )
        _openssl(
            *("ca", "-batch", "-selfsign", "-rand_serial", "-notext", "-config", self.folder / "authority"),
            *("-keyfile", key, "-in", request, "-out", certificate, "-startdate", "20200101000000Z", "-enddate", ends),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Made once: each takes a process."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def good(certificates):
    """A certificate that is good where it is trusted."""
    return certificates.make("good")


@pytest.fixture
def trusting(certificates, monkeypatch):
    """Makes us trust one of the certificates, the way users do it."""

    def trust(name: str) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.path(name)))
        tls_context.cache_clear()

    yield trust
    tls_context.cache_clear()


def get(url: str, body: bytes = b"") -> http.Fetched:
    return http.run(http.fetch(http.Request("POST", url, {}, body), PATIENT))


def failure_of(url: str) -> WireError:
    with pytest.raises(WireError) as caught:
        get(url)
    return caught.value


def test_https_is_spoken_with_whom_ssl_cert_file_trusts(good, trusting):
    """A company's own authority, say; the stamps are in order."""
    trusting("good")
    with raw_server(saying(OK), tls=good) as address:
        fetched = get(f"https://{address}/")
    stamps = fetched.stamps
    assert fetched.body == b"ok"
    assert stamps.started_at < stamps.connected_at < stamps.written_at < stamps.headers_at


def test_a_kept_connection_is_secured_once(good, trusting):
    """Further requests of a pool go over it without another handshake; the server hears them all in one place."""
    trusting("good")
    heard: list[int] = []

    def play(connection):
        for number in range(3):
            read_request(connection)
            heard.append(number)
            connection.sendall(OK)

    async def ask(pool: http.Pool) -> list[http.Stamps]:
        stamps = []
        for _ in range(3):
            request = http.Request("GET", f"https://{address}/")
            async with http.open_exchange(request, PATIENT, streamed=False, pool=pool) as exchange:
                assert await http.read_body(exchange) == b"ok"
                stamps.append(exchange.stamps)
        return stamps

    with raw_server(play, tls=good) as address:
        stamps = http.run(ask(http.Pool()))
        http.close()
    assert heard == [0, 1, 2]
    assert [one.connected_at is None for one in stamps] == [False, True, True]
    assert all(one.started_at < one.written_at < one.headers_at for one in stamps)


def test_a_certificate_nobody_vouches_for_is_refused(good):
    """And the request is not sent."""
    heard = []

    def play(connection):
        heard.append(connection.recv(1000))

    with raw_server(play, tls=good) as address:
        failure = failure_of(f"https://{address}/")
    assert failure.category is Category.NETWORK_TLS
    assert "self-signed certificate" in str(failure).replace("self signed", "self-signed")
    assert heard in ([], [b""])


def test_a_certificate_of_another_host_is_refused(certificates, trusting):
    """Though it is trusted."""
    other = certificates.make("other", host="DNS:other.host")
    trusting("other")
    with raw_server(saying(OK), tls=other) as address:
        failure = failure_of(f"https://{address}/")
    assert failure.category is Category.NETWORK_TLS
    assert "127.0.0.1" in str(failure)


def test_an_expired_certificate_is_refused(certificates, trusting):
    """Though it is trusted."""
    expired = certificates.make("expired", ends="20200102000000Z")
    trusting("expired")
    with raw_server(saying(OK), tls=expired) as address:
        failure = failure_of(f"https://{address}/")
    assert failure.category is Category.NETWORK_TLS
    assert "expired" in str(failure)


def test_https_to_a_server_that_hangs_up_is_a_matter_of_tls():
    """It may speak a version of TLS that is too old, or none."""
    with raw_server(lambda connection: connection.recv(1)) as address:
        assert failure_of(f"https://{address}/").category is Category.NETWORK_TLS


def test_http_to_a_server_of_https_is_told_by_its_own_answer(good):
    """It hangs up, or says that it is no HTTP."""
    with raw_server(saying(OK), tls=good) as address:
        failure = failure_of(f"http://{address}/")
    assert failure.category in {Category.NETWORK_RESET, Category.STREAM_MALFORMED}


def test_a_large_request_within_tls_counts_as_written_when_the_socket_has_it(good, trusting):
    """Not when the TLS layer has."""
    trusting("good")
    body = b"x" * 20_000_000

    def play(connection):
        time.sleep(0.5)
        read_request(connection)
        connection.sendall(OK)

    with raw_server(play, tls=good) as address:
        stamps = get(f"https://{address}/", body).stamps
    assert stamps.written_at - stamps.connected_at >= 0.45
    assert stamps.written_at <= stamps.headers_at


def test_a_body_within_tls_that_breaks_off_is_truncated(good, trusting):
    """As without TLS."""
    trusting("good")
    with raw_server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), tls=good) as address:
        assert failure_of(f"https://{address}/").category is Category.STREAM_TRUNCATED


def test_a_certificate_is_always_asked_for():
    """With its host's name, from authorities of certifi or of the system."""
    tls_context.cache_clear()
    context = tls_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.get_ca_certs()

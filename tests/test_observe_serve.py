"""`/metrics` and `/health` over HTTP: who may ask for what, and what a stranger gets."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import watched_runs as w
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from pytest_llmbench import clock
from pytest_llmbench.cli import main
from pytest_llmbench.config.alert_schema import AlertsDef
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import UsageError
from pytest_llmbench.observe import serve
from pytest_llmbench.observe.callers import Callers
from pytest_llmbench.observe.serve import MetricsServer
from pytest_llmbench.observe.watching import Watched
from pytest_llmbench.secret import Secret
from pytest_llmbench.store import Store, lane_states

TOKEN = "a-long-random-token-1234567890"


@pytest.fixture(autouse=True)
def lets_go() -> Iterator[None]:
    """No test leaves a database open."""
    yield
    w.let_go()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a run that goes on, and a reply in it."""
    path = w.database(tmp_path)
    with Store.open(path) as store:
        w.begin(store)
        store.save_reply("run-1", "t", 0, {}, w.answer(1))
    return path


@contextmanager
def serving(
    path: Path, host: str = "127.0.0.1", *, token: str = "", alerts: AlertsDef | None = None, run: str = "last"
) -> Iterator[int]:
    """The port of a server over this database."""
    onlooker = w.looking(Watched(path, run, alerts=alerts or AlertsDef()))
    secret = Secret(token) if token else None
    with MetricsServer(onlooker, host, 0, token=secret, names=("metrics.lab",)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def answer(
    port: int, method: str = "GET", target: str = "/metrics", host: str = "", **headers: str
) -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, target, headers={"Host": host or f"127.0.0.1:{port}", **headers})
    response = connection.getresponse()
    told = response.status, response.read().decode(), response.headers
    connection.close()
    return told


def test_metrics_come_in_the_format_that_is_asked_for(path: Path) -> None:
    """Prometheus asks for OpenMetrics where it can read it."""
    with serving(path) as port:
        status, text, headers = answer(port)
        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert "llmbench_calls" in {family.name for family in plain_families(text)}
        status, text, headers = answer(port, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "application/openmetrics-text")
        assert text.endswith("# EOF\n")
        assert "llmbench_calls" in {family.name for family in open_families(text)}


def test_health_tells_its_reasons_and_a_status_that_monitors_see(path: Path) -> None:
    """200 while it goes on somehow, 503 once an alert is raised."""
    with Store.open(path) as store:
        store.submit(lane_states.put_all, ("run-1", [w.lane(breaker="half-open")])).result()
    with serving(path) as port:
        status, text, headers = answer(port, target="/health")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    told = json.loads(text)
    assert (told["status"], told["run"]) == ("degraded", "run-1")
    assert "the circuit breaker of lab/m is half-open" in told["reasons"]
    with serving(path, alerts=AlertsDef(cost_per_hour="0.0001")) as port:
        status, text, _ = answer(port, target="/health")
    assert (status, json.loads(text)["status"]) == (503, "failing")
    assert json.loads(text)["reasons"][0].startswith("alert cost_per_hour: ")


def test_a_run_that_is_not_there_is_told_in_a_sentence(path: Path) -> None:
    """It may have been removed since: whoever asks gets an answer, and the server goes on."""
    with serving(path, run="no-such-run") as port:
        for target in ("/metrics", "/health"):
            status, text, headers = answer(port, target=target)
            assert (status, headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
            assert "no-such-run" in text


def test_only_two_pages_and_two_methods_are_there(path: Path) -> None:
    """HEAD has no body; whatever would change something is refused before it is read."""
    with serving(path) as port:
        assert {answer(port, target=target)[0] for target in ("/", "/metrics/", "/../etc/passwd", "/admin")} == {404}
        status, text, headers = answer(port, "HEAD")
        assert (status, text) == (200, "")
        assert int(headers["Content-Length"]) > 100
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            status, _, headers = answer(port, method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD")
        assert answer(port, "TRACE")[0] == 501
        assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("METRICS.lab", 200),
        ("[::1]:{port}", 200),
        ("10.0.0.7", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example:{port}", 403),
        ("localhost:1/#@evil.example", 403),
        ("user@evil.example", 403),
        ("localhost\r\nHost: evil.example", 403),
        ("", 403),
    ],
)
def test_a_page_that_a_browser_has_open_cannot_come_under_a_name_of_its_own(path: Path, host: str, status: int) -> None:
    """Names can be made to mean this machine, addresses by number cannot."""
    with serving(path) as port:
        assert raw(port, host.format(port=port)) == status


def raw(port: int, host: str) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return int(line.makefile("rb").readline().split()[1])


def test_a_token_is_wanted_for_everything(path: Path) -> None:
    """Without, with a wrong one, or presented in another way nothing is told, not even which pages there are."""
    with serving(path, "0.0.0.0", token=TOKEN) as port:
        for given in ("", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer é"):
            for target in ("/metrics", "/health", "/admin"):
                status, text, headers = answer(port, target=target, Authorization=given.encode().decode("latin-1"))
                assert (status, text, headers["WWW-Authenticate"]) == (401, "a token is needed\n", "Bearer")
        assert answer(port, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert answer(port, host="evil.example", Authorization=f"Bearer {TOKEN}")[0] == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_the_network_is_not_served_without_a_token(path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="others could read models"):
        MetricsServer(w.looking(Watched(path)), host, 0)


def test_crowds_and_silent_callers_do_not_keep_others_out_for_good(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many at once; who says nothing is hung up on."""
    monkeypatch.setattr(serve._Handler, "timeout", 0.3)
    with serving(path) as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(serve.AT_ONCE + 4)]
        for line in silent:
            line.settimeout(20)
            assert line.recv(1) == b""
            line.close()
        assert answer(port)[0] == 200


def test_idle_connections_make_room_for_whoever_asks(path: Path) -> None:
    """Sixty that say nothing, or half of what they want: a scrape has its answer at once."""
    with serving(path) as port, ExitStack() as held:
        begun_s = clock.monotonic()
        for number in range(60):
            line = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            line.sendall(b"GET /health HTTP/1.1\r\nHost:" if number % 2 else b"")
        for target in ("/health", "/metrics"):
            assert answer(port, target=target)[0] == 200
        assert clock.monotonic() - begun_s < serve.PATIENCE_S / 2


def test_who_is_being_answered_makes_room_for_nobody() -> None:
    """One that waits for its answer is no idle one; where all do, the next is turned away."""
    callers, pairs = Callers(2), [socket.socketpair() for _ in range(3)]
    (first, _), (second, silent), (third, _) = pairs
    assert callers.comes(first)
    assert callers.comes(second)
    callers.asks(first)
    assert callers.comes(third)
    assert silent.recv(1) == b"", "the second said nothing: it was hung up on"
    callers.asks(third)
    callers.asks(second)
    assert not callers.comes(second)
    callers.falls_silent(third)
    callers.goes(first)
    assert callers.comes(second)
    for pair in pairs:
        for line in pair:
            line.close()


def test_many_ask_at_once_and_all_get_the_same(path: Path) -> None:
    """One look at a time: nothing is counted twice."""
    told: list[str] = []
    with serving(path) as port:
        callers = [threading.Thread(target=lambda: told.append(_counted(answer(port)[1]))) for _ in range(12)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert {*told} == {'llmbench_calls_total{model="lab/m",role="subject",outcome="answered",category=""} 1'}
    assert len(told) == 12


def _counted(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("llmbench_calls_total"))


def test_the_verb_serves_until_it_is_interrupted(path: Path) -> None:
    """In a process of its own, at a port that the system chose."""
    command = [sys.executable, "-m", "pytest_llmbench", "metrics", "--serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=path.parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[0]
        assert urlsplit(url).hostname == "127.0.0.1"
        with urlopen(url, timeout=20) as response:
            assert "llmbench_calls_total" in response.read().decode()
    finally:
        process.send_signal(2)
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (2, "llmbench: interrupted\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json"], "--serve and --json are different things"),
        (["--port", "99999"], "--port: 99999 is no port"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0: others could read"),
        (["--token-env", "NO_SUCH_TOKEN"], "--token-env: $NO_SUCH_TOKEN is not set"),
        (["--token-env", "SHORT_TOKEN"], "--token-env: $SHORT_TOKEN holds 15 characters, which others could guess"),
        (["--host", "no.such.host.invalid", "--token-env", "SOME_TOKEN"], "cannot listen at no.such.host.invalid:9464"),
    ],
)
def test_what_cannot_be_served_is_told(
    path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    monkeypatch.setenv("SHORT_TOKEN", "fifteen-letters")
    assert main(["metrics", "--serve", "--rootdir", str(path.parents[1]), *words]) == 4
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grafana", "--rules"], "--grafana and --rules are different things"),
        (["--json", "--grafana"], "--json and --grafana are different things"),
        (["--chats", "--rules"], "--rules is the same for runs and chats"),
        (["--port", "0"], "--port says how to serve, and nothing is served"),
        (["--token-env", "SOME_TOKEN"], "--token-env says how to serve"),
        (["--allow-host", "metrics.lab", "--json"], "--allow-host says how to serve"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(
    path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is printed."""
    assert main(["metrics", "--rootdir", str(path.parents[1]), *words]) == 4
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


SUITE = """
import pytest

@pytest.mark.models("lab/m")
@pytest.mark.dataset("questions.jsonl", max_tokens=20)
def test_answer(reply, sample):
    assert reply.text == sample.expected
"""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_run_is_seen_while_it_goes_on_and_after_it_was_killed(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """From another process, by what is in the database: calls as they end, lines as they stand."""
    told = ({"id": f"s{n}", "input": f"say {n}", "expected": "yes"} for n in range(400))
    tmp_path.joinpath("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    tmp_path.joinpath("test_it.py").write_text(SUITE)
    with DemoProvider(Answer("yes", ttft_s=0.3)) as running:
        tmp_path.joinpath("llmbench.yaml").write_text(f"providers:\n  lab: {{url: '{running.url}'}}\n")
        command = [sys.executable, "-m", "pytest", "-q", "--llmbench-max-concurrency", "4", *arguments]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with serving(w.database(tmp_path)) as port:
                while_it_ran = _until(port, lambda found: found.get(_ANSWERED, 0) >= 10 and _IN_FLIGHT in found)
                process.kill()
                process.wait()
                clock.sleep(1.5)  # the asker's process ends with it
                after = figures_at(port)
                health = json.loads(answer(port, target="/health")[1])
        finally:
            process.kill()
            process.wait()
    assert 1 <= while_it_ran[_IN_FLIGHT] <= 4
    assert while_it_ran['llmbench_requests_limit{model="lab/m"}'] == 4
    assert while_it_ran['llmbench_questions_waiting{model="lab/m"}'] > 100
    assert while_it_ran['llmbench_breaker_state{model="lab/m",state="closed"}'] == 1
    assert after[_ANSWERED] >= while_it_ran[_ANSWERED]
    assert after['llmbench_runs{state="unfinished"}'] == 1
    assert (health["status"], health["reasons"]) == ("ok", [])


_ANSWERED = 'llmbench_calls_total{model="lab/m",role="subject",outcome="answered",category=""}'
_IN_FLIGHT = 'llmbench_requests_in_flight{model="lab/m"}'


def figures_at(port: int) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in answer(port)[1].splitlines() if not line.startswith("#"))
    return {name: float(number) for name, _, number in lines}


def _until(port: int, is_so: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    deadline = clock.monotonic() + 60
    while not is_so(found := figures_at(port)) and clock.monotonic() < deadline:
        clock.sleep(0.1)
    return found

"""Keys end up nowhere: a canary through a whole session, and a search through every byte that it leaves."""

from __future__ import annotations

import pytest
from canaries import forms, holding
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, DemoProvider, Failure, Reaction

LAB_KEY = "zq9-canary/7fe1+42ab90"
OTHER_KEY = "canary-of-another-provider-55e1"

SUITE = """
    import base64, json, logging, os, signal, sys, urllib.parse, warnings
    from pathlib import Path
    import pytest

    LAB = "lab/any"

    def everywhere(key, record_property):
        basic = base64.b64encode(f"user:{key}".encode()).decode()
        forms = [key, basic, urllib.parse.quote(key, safe=""), json.dumps(key)]
        for form in forms:
            print("stdout", form)
            print("stderr", form, file=sys.stderr)
            logging.getLogger("app").error("log %s", form)
            warnings.warn(f"warning {form}")
            record_property("property", form)
        return forms

    @pytest.fixture
    def own(llama_server):
        server = llama_server("smollm2-135m:Q4_1", context=512)
        key = server.api_key.reveal()
        with open(os.environ["KEYS"], "a") as keys:
            keys.write(key + "\\\\n")
        return server, key

    def test_own_server(own, record_property):
        server, key = own
        server.ask(f"Say {key}", max_tokens=2)
        forms = everywhere(key, record_property)
        header = {"Authorization": f"Bearer {key}"}
        assert [header, forms] == ["wanted", [forms[0]]], f"no: {key}"

    def test_own_server_dies(own):
        server, key = own
        os.kill(server.server().pid, signal.SIGKILL)
        server.ask("Hi", max_tokens=2)

    @pytest.mark.models(LAB)
    def test_reply(model, record_property):
        reply = model.ask("what is the key?")
        everywhere(model.api_key.reveal(), record_property)
        assert reply.text == model.api_key.reveal() + "?"

    @pytest.mark.models(LAB)
    def test_refused(model):
        model.ask("refuse me")

    @pytest.mark.models(LAB)
    def test_chain(model):
        try:
            raise KeyError(model.api_key.reveal())
        except KeyError as error:
            raise ExceptionGroup(f"group {model.api_key.reveal()}", [ValueError(model.api_key.reveal())]) from error

    @pytest.mark.models(LAB)
    def test_setup_and_reasons(model):
        pytest.xfail(model.api_key.reveal())

    @pytest.mark.models(LAB)
    def test_of_the_environment(model):
        other = os.environ["OTHER_API_KEY"]
        model.ask(f"keep {other}")
        assert model.ask(other).text == dict(os.environ)

    def test_that_is_not_ours():
        key = os.environ["LAB_KEY"]
        print(key)
        assert key == "wanted"

    def test_worker_dies(own):
        if "PYTEST_XDIST_WORKER" in os.environ:
            print(own[1])
            os._exit(3)
"""


def answer(body: dict[str, object]) -> Reaction:
    """A provider that repeats what it should keep to itself."""
    if "refuse" in str(body["messages"]):
        return Failure(500, f"request with authorization: Bearer {LAB_KEY} ({LAB_KEY!r}) failed")
    return Answer(f"your key is {LAB_KEY}")


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("smollm2")
def test_no_byte_of_a_session_holds_a_key(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, workers: str
) -> None:
    """With everything shown and logged, failures of every kind, a dead server and a dead worker: terminal, log files,
    database, server logs, JUnit, three reports, and what lies in the folder for temporary files."""
    keys, scratch = tmp_path_factory.mktemp("keys") / "keys.txt", tmp_path_factory.mktemp("t")
    for name, value in {
        "KEYS": str(keys),
        "LAB_KEY": LAB_KEY,
        "OTHER_API_KEY": OTHER_KEY,
        "TMPDIR": str(scratch),
    }.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(test_keys=SUITE)
    with DemoProvider(answer, api_key=LAB_KEY) as provider:
        (pytester.path / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{provider.url}', key_env: LAB_KEY}}\n")
        result = pytester.runpytest_subprocess(
            *["-n", workers, "-vv", "--showlocals", "-rA", "--log-file=debug.log", "--log-file-level=DEBUG"],
            *["-o", "log_cli=true", "--log-cli-level=DEBUG", "--junitxml=junit.xml", "--llmbench-report=html,json,csv"],
        )
    run = stored_run(pytester)
    told = f"{result.stdout.str()}\n{result.stderr.str()}"
    outcomes = {each.outcome for each in run.results}
    assert (len(run.results), outcomes) == (8, {"right", "wrong", "infra_error", "test_error", "skipped"}), told
    assert "stdout [redacted]" in told
    assert any("[redacted]" in reply.text for reply in run.replies)
    found = {LAB_KEY, OTHER_KEY, *keys.read_text().split()}
    assert len(found) >= 3
    (pytester.path / "told.txt").write_text(told)
    for key in found:
        assert [*holding(pytester.path, forms(key)), *holding(scratch, forms(key))] == []


ENV_KEY = "env-canary-0f3b/91ce77d2"
COMMAND_KEY = "command-canary-66ab.40fe12"

API_SUITE = """
    import sys
    import pytest

    everywhere = pytest.mark.models("lab/any", "claude/any")

    @everywhere
    @pytest.mark.dataset("samples.jsonl", max_tokens=50)
    def test_reply(reply, sample, model):
        key = model.api_key.reveal()
        print("stdout", key, reply.text)
        print("stderr", key, file=sys.stderr)
        assert reply.text == key + " expected"

    @everywhere
    def test_together(model, request):
        key = model.api_key.reveal()
        replies = model.ask_all([f"Repeat {key}", "refuse me"], max_tokens=50)
        assert replies == key

    @everywhere
    def test_streamed(model):
        pieces = list(model.stream("Say it", max_tokens=50))
        assert pieces == [model.api_key.reveal()]
"""


def api_answer(body: dict[str, object]) -> Reaction:
    """A provider that repeats the keys of all its customers."""
    if "refuse" in str(body["messages"]):
        return Failure(400, f"keys {ENV_KEY!r} and x-api-key: {COMMAND_KEY} are refused")
    return Answer(f"your keys are {ENV_KEY} and {COMMAND_KEY}", prompt_tokens=9)


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_no_byte_of_a_session_with_api_models_holds_a_key(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, workers: str
) -> None:
    """Keys of `.env` and of a key_command: not in the terminal, logs, database, cassette, JUnit, three reports, scratch
    folders, nor in what is kept for the user (catalogues, findings, accounts)."""
    home, scratch = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("t")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name))
    monkeypatch.setenv("TMPDIR", str(scratch))
    pytester.makepyfile(test_keys=API_SUITE)
    pytester.makefile(
        ".jsonl", samples="\n".join(f'{{"id": "{n}", "input": "{n}?", "expected": ""}}' for n in range(3))
    )
    (pytester.path / ".env").write_text(f"LAB_KEY={ENV_KEY}\n")
    own = home / "XDG_CONFIG_HOME" / "pytest-llmbench" / "llmbench.yaml"
    own.parent.mkdir(parents=True)
    with DemoProvider(api_answer) as provider:
        own.write_text(
            f"providers:\n  claude: {{url: '{provider.url}', format: anthropic, key_command: 'echo {COMMAND_KEY}'}}\n"
        )
        (pytester.path / "llmbench.yaml").write_text(
            f"providers:\n  lab: {{url: '{provider.url}/v1', key_env: LAB_KEY}}\n"
            "prices: {'*': {input: 1, output: 1}}\nbudget: {run: 5, models: {'lab/*': 2}}\n"
        )
        result = pytester.runpytest_subprocess(
            *["-n", workers, "-vv", "--showlocals", "-rA", "--log-file=debug.log", "--log-file-level=DEBUG"],
            *["-o", "log_cli=true", "--log-cli-level=DEBUG", "--junitxml=junit.xml", "--llmbench-report=html,json,csv"],
            *["--llmbench-record=cassette.jsonl"],
        )
    told = f"{result.stdout.str()}\n{result.stderr.str()}"
    run = stored_run(pytester)
    assert len(run.results) == 10, told
    assert {each.outcome for each in run.results} == {"wrong", "infra_error"}, told
    assert "your keys are [redacted] and [redacted]" in (pytester.path / "cassette.jsonl").read_text()
    (pytester.path / "told.txt").write_text(told)
    (pytester.path / ".env").unlink()
    own.unlink()
    for key in (ENV_KEY, COMMAND_KEY):
        assert [each for folder in (pytester.path, home, scratch) for each in holding(folder, forms(key))] == []


DOWNLOAD = """
    import httpx, threading
    from http.server import BaseHTTPRequestHandler, HTTPServer
    import pytest

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Set-Cookie", "session=cookie-canary-7f31; path=/")
            self.send_header("Location", "https://cdn.invalid/f?X-Amz-Credential=who-canary-7f31&X-Amz-Signature=sig-canary-7f31")
            self.end_headers()

        def log_message(self, *_):
            pass

    @pytest.mark.models("lab/any")
    def test_download(model):
        hub = HTTPServer(("127.0.0.1", 0), Hub)
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{hub.server_port}/f?token=token-canary-7f31"
        httpx.get(address, headers={"Authorization": "Bearer bearer-canary-7f31"})
        hub.shutdown()
        hub.server_close()
        thread.join()
        assert model.ask("Hi").text == "prompt-canary"
"""


def test_debug_logs_of_http_libraries_hold_no_credentials_and_ours_no_bodies(pytester: pytest.Pytester) -> None:
    """httpx's own log shows the headers and addresses of answers: cookies, signatures, tokens. Ours shows neither
    headers nor what was said."""
    pytester.makepyfile(DOWNLOAD)
    with DemoProvider(Answer("body-canary-7f31")) as provider:
        (pytester.path / "llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{provider.url}'}}\n")
        pytester.runpytest_subprocess(
            *[
                "--log-file=debug.log",
                "--log-file-level=DEBUG",
                "-o",
                "log_cli=true",
                "--log-cli-level=DEBUG",
                "--tb=no",
            ]
        )
    log = (pytester.path / "debug.log").read_text()
    assert "receive_response_headers.complete" in log
    assert "X-Amz-Signature=[redacted]" in log
    assert "canary" not in log

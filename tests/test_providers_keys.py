"""Where keys come from, and that they stay secret."""

from __future__ import annotations

import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_llmbench import redaction
from pytest_llmbench.errors import UsageError
from pytest_llmbench.providers import keys
from pytest_llmbench.providers.keys import Keyring, fingerprint
from pytest_llmbench.secret import Secret

KEY = "kx-canary-5f20a7719c3e"
OTHER = "kx-other-90aa1b2c3d4e5f"


def python(code: str) -> tuple[str, ...]:
    """A command that runs `code`."""
    return (sys.executable, "-c", code)


def test_the_environment_goes_before_the_env_file_and_that_before_the_command(tmp_path):
    """The nearest to the user wins."""
    (tmp_path / ".env").write_text(f'LAB_KEY={OTHER}\nONLY_HERE="{OTHER}-2"\n')
    ring = Keyring({"LAB_KEY": KEY}, tmp_path)
    assert ring.find(["LAB_KEY"]).reveal() == KEY
    assert ring.find(["MISSING", "ONLY_HERE"]).reveal() == f"{OTHER}-2"
    assert ring.find(["LAB_KEY"], python("raise SystemExit(1)")).reveal() == KEY
    assert ring.find(["MISSING"], python(f"print('{KEY}-3')")).reveal() == f"{KEY}-3"


def test_the_env_file_is_not_exported(tmp_path, monkeypatch):
    """Processes that tests start do not inherit what stands in it."""
    monkeypatch.delenv("LAB_KEY", raising=False)
    (tmp_path / ".env").write_text(f"export LAB_KEY='{KEY}'  # mine\n")
    assert Keyring(os.environ, tmp_path).find(["LAB_KEY"]).reveal() == KEY
    assert "LAB_KEY" not in os.environ


def test_all_that_looks_secret_in_the_env_file_is_redacted(tmp_path):
    """Also what nobody asked for."""
    (tmp_path / ".env").write_text(f"LAB_KEY={KEY}\nDATABASE_PASSWORD=kx-db-77aa88bb99\n")
    Keyring({}, tmp_path).find(["LAB_KEY"])
    assert redaction.redact_exact(f"{KEY} kx-db-77aa88bb99") == "[redacted] [redacted]"


def test_the_env_file_is_data(tmp_path):
    """Nothing in it is looked up elsewhere or run."""
    (tmp_path / ".env").write_text("LAB_KEY=${HOME}$(id)\n")
    assert Keyring(os.environ, tmp_path).find(["LAB_KEY"]).reveal() == "${HOME}$(id)"


def test_without_any_source_there_is_no_key(tmp_path):
    """An empty variable is as good as none."""
    assert not Keyring({"LAB_KEY": " "}, tmp_path).find(["LAB_KEY"])
    assert not Keyring({}, tmp_path).find([])


def test_an_env_file_that_is_no_text_is_named(tmp_path):
    """With what to do about it."""
    (tmp_path / ".env").write_bytes(b"LAB_KEY=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"\.env cannot be read"):
        Keyring({}, tmp_path).find(["LAB_KEY"])


def test_a_command_is_run_once_and_its_first_line_counts(tmp_path):
    """Password managers ask their users something."""
    count = tmp_path / "count"
    command = python(f"open({str(count)!r}, 'a').write('x'); print(' {KEY} '); print('login: me')")
    ring = Keyring({}, tmp_path)
    assert [ring.find([], command).reveal() for _ in range(3)] == [KEY] * 3
    assert count.read_text() == "x"


def test_several_threads_that_want_a_key_at_once_run_its_command_once(tmp_path):
    """The first requests of a run come together; a password manager asks its user once."""
    count = tmp_path / "count"
    ring = Keyring({}, tmp_path)
    command = python(f"import time; open({str(count)!r}, 'a').write('x'); time.sleep(0.3); print({KEY!r})")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ring.find([], command).reveal(), range(4)))
    assert found == [KEY] * 4
    assert count.read_text() == "x"


def test_a_command_is_run_without_a_shell(tmp_path):
    """What looks like a shell's syntax is an argument."""
    command = tuple(shlex.split(f"{sys.executable} -c 'import sys; print(sys.argv[1:])' ; touch no"))
    assert Keyring({}, tmp_path).find([], command).reveal() == "[';', 'touch', 'no']"
    assert not Path("no").exists()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nowhere/at-all",), "cannot be run: No such file"),
        (python("import sys; sys.exit('the vault is locked')"), "status 1: the vault is locked"),
        (python("print()"), "said nothing"),
    ],
)
def test_a_command_that_fails_says_why(tmp_path, command, reason):
    """And how to try it by hand."""
    with pytest.raises(UsageError, match=reason) as caught:
        Keyring({}, tmp_path).find([], command)
    assert "shell" in caught.value.hint


def test_what_a_failing_command_said_is_not_shown_where_it_is_a_key(tmp_path):
    """It may have printed the key before it failed."""
    code = f"import sys; print('{KEY}'); sys.exit('refused: {KEY}')"
    with pytest.raises(UsageError) as caught:
        Keyring({}, tmp_path).find([], python(code))
    assert KEY not in str(caught.value)


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch):
    """And nothing of what it had said is chained to the error."""
    monkeypatch.setattr(keys, "COMMAND_TIMEOUT_S", 0.5)
    code = f"import time; print('{KEY}', flush=True); time.sleep(60)"
    with pytest.raises(UsageError, match=r"not ended after 0\.5 s") as caught:
        Keyring({}, tmp_path).find([], python(code))
    assert caught.value.__suppress_context__


def test_a_fingerprint_tells_accounts_apart_and_not_their_keys():
    """The same in every session, so that sessions can share the limits of an account."""
    assert fingerprint(Secret(KEY)) == fingerprint(Secret(KEY)) != fingerprint(Secret(OTHER))
    assert len(fingerprint(Secret(KEY))) == 10
    assert fingerprint(Secret()) == ""


def test_a_line_of_the_env_file_that_cannot_be_read_is_told_by_who_wants_a_key_of_it(tmp_path, caplog):
    """Every process of a run registers what stands there; most want no key."""
    (tmp_path / ".env").write_text(f"this is no line\nLAB_KEY={KEY}-4\n")
    Keyring({}, tmp_path).register(["LAB_KEY"])
    assert caplog.messages == []
    assert redaction.redact_exact(f"{KEY}-4") == redaction.MARK
    assert Keyring({}, tmp_path).find(["LAB_KEY"]).reveal() == f"{KEY}-4"
    assert "could not parse" in caplog.text

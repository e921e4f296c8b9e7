"""Model files of the Hugging Face Hub: `hf:org/repo/file.gguf[@revision]`.

`huggingface_hub` knows where the hub is (HF_ENDPOINT), who the user is (HF_TOKEN, the token file) and how addresses are
written. Its requests are not used: it checks a download by size alone, and with each call it tells the hub which
libraries are installed here.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from pytest_llmbench import redaction
from pytest_llmbench.config import source_forms
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ConfigError, ModelFileError
from pytest_llmbench.models.download import whole_number
from pytest_llmbench.models.part_names import names_of_parts
from pytest_llmbench.models.parts import fetch_parts
from pytest_llmbench.models.remote import RemoteFile, client
from pytest_llmbench.models.remote_errors import persistently, status_error, transport_error
from pytest_llmbench.models.transfer import Fetched, Order, check_pin

if TYPE_CHECKING:
    import httpx

PREFIX = "hf:"
_MAX_REDIRECTS = 5
_MAX_LISTING_BYTES = 8 << 20
_NEAR_NAMES = 5
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class HubSource:
    """`hf:org/repo/file.gguf[@revision]`, read."""

    repo: str
    file: str
    """Its path in the repository."""
    revision: str = ""
    """A branch, tag or commit; empty: the main branch."""

    @classmethod
    def parse(cls, source: str) -> HubSource:
        """Read a source.

        Raises:
            ConfigError: it is not of that form.
        """
        form = source_forms.FORMS[PREFIX]
        if (told := form.pattern.fullmatch(source)) is None:
            raise ConfigError(
                f"{display_safe(source, keep='')!r:.200} is not a model source", hint=f"write {form.form}"
            )
        return cls(told["repo"], told["file"], told["revision"] or "")

    def files(self) -> list[str]:
        """The paths of all parts.

        Raises:
            ConfigError: it names another part than the first.
        """
        folder, slash, name = self.file.rpartition("/")
        return [f"{folder}{slash}{part}" for part in names_of_parts(name, f"{PREFIX}{self.repo}/{self.file}")]


def parts(source: str) -> int:
    """How many files the source has."""
    return len(HubSource.parse(source).files())


def fetch(order: Order) -> Fetched:
    """Download the files of a source; the commit that the revision stands for now, or the pinned one.

    Raises:
        ModelFileError: they cannot be had, or are not what they should be.
        OSError: they cannot be written.
    """
    source = HubSource.parse(order.source)
    with client() as connections:
        pinned = order.pin.revision if order.pin else ""
        hub = _Hub(connections, source, lambda: order.progress(0, None, f"retrying {order.name}"))
        try:
            remotes, commit = hub.look_up(pinned or source.revision)
        except ModelFileError as error:
            if pinned and error.category is Category.MODEL_MISSING:
                error.hint += f"; {order.said_how_to_update()}"
            raise
    hashes = tuple(remote.sha256 for remote in remotes)
    if all(hashes):
        check_pin(order, hashes, f"{order.source} at {commit[:12]}")
        if hashes == order.here:
            return Fetched(order.here, commit)
    return fetch_parts(order, remotes, commit)


class _Hub:
    """What the hub says about a source.

    Args:
        connections: to ask with.
        source: what is looked for.
        on_wait: called when the hub has to be asked again, before waiting for that.
    """

    def __init__(self, connections: httpx.Client, source: HubSource, on_wait: Callable[[], None]) -> None:
        from huggingface_hub import constants, get_token  # noqa: PLC0415  heavy, and only `hf:` sources need it

        if constants.HF_HUB_OFFLINE:
            raise ModelFileError(
                f"{source.repo} may not be downloaded: HF_HUB_OFFLINE is set",
                category=Category.MODEL_MISSING,
                hint="unset HF_HUB_OFFLINE, or download the model where there is a network",
            )
        self._client = connections
        self._source = source
        self._on_wait = on_wait
        self._endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        if not re.match(r"https?://[^/\s]+", self._endpoint):
            raise ConfigError(
                f"HF_ENDPOINT is {self._endpoint!r:.100}",
                hint="it has to be an address, such as https://huggingface.co",
            )
        self._token = _usable(get_token())
        self._names = (
            constants.HUGGINGFACE_HEADER_X_REPO_COMMIT,
            constants.HUGGINGFACE_HEADER_X_LINKED_SIZE,
            constants.HUGGINGFACE_HEADER_X_LINKED_ETAG,
        )
        if self._token:
            redaction.register(self._token)

    def look_up(self, revision: str) -> tuple[list[RemoteFile], str]:
        """All parts as they are at the commit that a revision stands for, and this commit.

        Raises:
            ModelFileError: the hub has no such file, or does not give it to us.
        """
        commit, found = revision or "main", []
        for file in self._source.files():
            # The parts after the first at the commit of the first: the branch may move in between.
            remote, commit = self._look_up_one(file, commit)
            found.append(remote)
        return found, commit

    def _look_up_one(self, file: str, revision: str) -> tuple[RemoteFile, str]:
        shown = f"{PREFIX}{self._source.repo}/{file}"
        response = persistently(lambda: self._head(self._address(file, revision), shown), lambda: 0, self._on_wait)
        if response.status_code >= 400:
            raise self._explained(response, file, revision)
        commit, size, etag = (response.headers.get(name, "") for name in self._names)
        commit = commit if _COMMIT.fullmatch(commit) else revision
        etag = (etag or response.headers.get("etag", "")).removeprefix("W/").strip('"')
        if not size and not response.has_redirect_location:
            size = response.headers.get("content-length", "")
        remote = RemoteFile(
            self._address(file, commit),
            shown,
            self._authorization(),
            whole_number(size),
            etag if _SHA256.fullmatch(etag) else "",
            "the hub",
        )
        return remote, commit

    def _head(self, url: str, shown: str) -> httpx.Response:
        """The hub's own answer; where it redirects to the server of the bytes, this redirect."""
        import httpx  # noqa: PLC0415  only a download pays for it

        for _ in range(_MAX_REDIRECTS):
            try:
                response = self._client.head(url, headers=self._authorization())
                target = urljoin(url, response.headers.get("location", ""))
            except httpx.TransportError as error:
                raise transport_error(error, shown) from error
            except (httpx.InvalidURL, ValueError) as error:
                raise _absent(f"the hub leads to what is no address: {error}", "check HF_ENDPOINT") from error
            if response.status_code == 429 or response.status_code >= 500:
                raise status_error(response, shown)
            if not response.has_redirect_location or not target.startswith(f"{self._endpoint}/"):
                return response
            url = target
        return response

    def _address(self, file: str, revision: str) -> str:
        from huggingface_hub import hf_hub_url  # noqa: PLC0415  see above

        try:
            return hf_hub_url(self._source.repo, file, revision=revision, endpoint=self._endpoint)
        except ValueError as error:
            raise ConfigError(f"{self._source.repo} is not the name of a repository: {error}") from error

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _explained(self, response: httpx.Response, file: str, revision: str) -> ModelFileError:
        """The error for an answer by which the hub refuses."""
        repo, said = self._source.repo, response.headers.get("x-error-code", "")
        page, status = f"{self._endpoint}/{repo}", response.status_code
        told = {
            "GatedRepo": f"{repo} is gated: its owner decides who may download it",
            "EntryNotFound": f"{repo} has no file {file} at {revision}",
            "RevisionNotFound": f"{repo} has no revision {revision}",
            "RepoNotFound": f"there is no repository {repo}, or it is private",
        }.get(said)
        if said == "EntryNotFound":
            return _absent(told, self._near_files(file, revision))
        if said == "RevisionNotFound":
            return _absent(told, f"a branch, a tag or a commit, as on {page}/tree/main")
        if said == "GatedRepo":
            return _forbidden(told, f"accept its conditions on {page}, and {self._how_to_log_in()}")
        if status in {401, 403}:
            told = told or f"the hub does not give {repo}/{file} to you (HTTP {status})"
            return _forbidden(told, f"check the name on {page}; for a private one {self._how_to_log_in()}")
        if status == 404:
            return _absent(told or f"the hub has no {repo}/{file} at {revision}", f"look at {page}")
        error = status_error(response, f"{PREFIX}{repo}/{file}")
        return error if isinstance(error, ModelFileError) else error.final

    def _how_to_log_in(self) -> str:
        if self._token:
            return "use the token of an account that may (the one in use comes from HF_TOKEN or `hf auth login`)"
        return "set HF_TOKEN, or log in with `hf auth login`"

    def _near_files(self, file: str, revision: str) -> str:
        """What the repository has instead, as a hint."""
        files = self._models(revision)
        near = difflib.get_close_matches(file, files, n=_NEAR_NAMES, cutoff=0.6)
        if near:
            return f"did you mean {' or '.join(near)}?"
        listed = ", ".join(files[:_NEAR_NAMES]) + (", ..." if len(files) > _NEAR_NAMES else "")
        return f"it has {listed}" if files else f"look at {self._endpoint}/{self._source.repo}/tree/{revision}"

    def _models(self, revision: str) -> list[str]:
        """The GGUF files of the repository; none where it cannot be listed: that is not what was asked for."""
        import httpx  # noqa: PLC0415  only a download pays for it

        url = f"{self._endpoint}/api/models/{self._source.repo}/tree/{quote(revision, safe='')}?recursive=true"
        try:
            with self._client.stream("GET", url, headers=self._authorization()) as response:
                body = b"" if response.status_code != 200 else _bounded(response)
            found = json.loads(body)
            paths = [str(entry["path"]) for entry in found if entry.get("type") == "file"]
        except (httpx.TransportError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return []
        return sorted(path for path in paths if path.casefold().endswith(".gguf"))


def _bounded(response: httpx.Response) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _MAX_LISTING_BYTES:
            return b""
    return body


def _usable(token: str | None) -> str | None:
    """The token, if it can be sent; an error that quotes it would show it."""
    if token and not re.fullmatch(r"[!-~]+", token):
        raise _forbidden(
            "the token for the hub holds characters that no token has",
            "it comes from HF_TOKEN or `hf auth login`: look for a blank, a quotation mark or an ellipsis in it",
        )
    return token


def _absent(told: str | None, hint: str) -> ModelFileError:
    return ModelFileError(
        display_safe(told or "", keep=""), category=Category.MODEL_MISSING, hint=display_safe(hint, keep="")
    )


def _forbidden(told: str | None, hint: str) -> ModelFileError:
    return ModelFileError(display_safe(told or "", keep=""), category=Category.AUTH, hint=display_safe(hint, keep=""))

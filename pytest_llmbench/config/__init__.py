"""llmbench.yaml: facts about the world (models, servers, gates, ratings) and the `defaults:` of options.

The file is data: nothing in it is executed, and no secret stands in it (`key_env` names an environment variable).
Every error names the file, the line, the key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pytest_llmbench import settings
from pytest_llmbench.config import own, source_forms, strict_yaml
from pytest_llmbench.config.gate_schema import Gate, gate, gates_of_mark
from pytest_llmbench.config.matrix_schema import MatrixDef, MatrixLimits
from pytest_llmbench.config.provider_schema import (
    BudgetDef,
    CapabilitiesDef,
    LimitsDef,
    OwnProviderDef,
    PriceDef,
    ProviderDef,
    RemoteModelDef,
)
from pytest_llmbench.config.schema import (
    GradeMarks,
    LlmbenchConfig,
    ModelDef,
    QuantDef,
    RatingStep,
    ServerDef,
)
from pytest_llmbench.config.strict_yaml import Document
from pytest_llmbench.config.validating import validated
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.settings import Origin, Settings

__all__ = [
    "ADDOPTS",
    "BUDGET",
    "CATALOGUE",
    "FILE_NAME",
    "LOCK_NAME",
    "BudgetDef",
    "CapabilitiesDef",
    "Gate",
    "GradeMarks",
    "LimitsDef",
    "LlmbenchConfig",
    "MatrixDef",
    "MatrixLimits",
    "ModelDef",
    "OwnProviderDef",
    "PriceDef",
    "ProviderDef",
    "QuantDef",
    "RatingStep",
    "RemoteModelDef",
    "Resolved",
    "ServerDef",
    "anchored",
    "gate",
    "gates_of_mark",
    "is_built_in",
    "json_schema",
    "load",
    "parse",
    "resolve",
]

FILE_NAME = "llmbench.yaml"
LOCK_NAME = "llmbench.lock"
BUDGET = "budget_usd"
"""Under which the header of a run has the most that llmbench.yaml lets it spend."""
ADDOPTS = ("addopts of ", "PYTEST_ADDOPTS")
"""How the sources of flags begin that pytest adds by itself."""
CATALOGUE = Path(__file__).parents[1] / "data" / "models.yaml"
"""The models every user has, in the same format."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everything that was chosen for a run in this project, and where each choice was made."""

    rootdir: Path
    settings: Settings
    origins: Mapping[str, Origin]
    config: LlmbenchConfig
    document: Document = field(default_factory=lambda: Document(FILE_NAME))
    """The user's file as read; empty where there is none."""
    config_path: Path | None = None
    own_document: Document = field(default_factory=lambda: Document(FILE_NAME))
    """The user's own file, whose providers, prices and budget lie below the project's."""

    @property
    def chosen(self) -> dict[str, Any]:
        """Option → its value."""
        return {name: origin.value for name, origin in self.origins.items()}

    def with_value(self, name: str, value: Any) -> Resolved:
        """With an option's value in place of what was given, from the same source."""
        origins = {**self.origins, name: replace(self.origins[name], value=value)}
        return replace(self, settings=settings.typed(origins), origins=origins)

    @property
    def results_dir(self) -> Path:
        return anchored(self.origins["results_dir"], self.rootdir)

    @property
    def told_of_machine(self) -> dict[str, Any]:
        """What llmbench.yaml says that the machine draws and costs, and a run may, for the header of a run."""
        given, most = self.config.machine.given, self.config.budget.run
        return ({"machine": given} if given else {}) | ({BUDGET: str(most)} if most else {})

    @property
    def lock_path(self) -> Path | None:
        """llmbench.lock, beside llmbench.yaml; None without that file: the built-in models are pinned already."""
        return self.config_path.with_name(LOCK_NAME) if self.config_path else None

    @property
    def calibrations_dir(self) -> Path:
        """Of judges; beside llmbench.yaml, unless said otherwise."""
        return anchored(self.origins["calibrations"], self.config_path.parent if self.config_path else self.rootdir)

    @property
    def report_template(self) -> Path | None:
        """None: no report is made by one."""
        return anchored(self.origins["report_template"], self.rootdir) if self.settings.report_template else None

    @property
    def models_dir(self) -> Path | None:
        """None: the user's cache folder."""
        return anchored(self.origins["models_dir"], self.rootdir) if self.settings.models_dir else None


def resolve(
    cli: Mapping[str, str | None],
    environ: Mapping[str, str],
    ini: Mapping[str, str | None],
    rootdir: Path,
    *,
    ini_name: str = "ini file",
    addopts: Mapping[str, Origin] | None = None,
) -> Resolved:
    """Find llmbench.yaml, read it, and merge all sources of options.

    Args:
        cli: option name → text given on the command line, None where not given.
        environ: the process environment.
        ini: option name → text of the ini file or pyproject.
        rootdir: where llmbench.yaml is looked for, and what relative paths in files are relative to.
        ini_name: how to name the ini file.
        addopts: option name → text of a flag that pytest adds by itself, and where it stands (`ADDOPTS` begins that
            source); it counts as typed, below what is in `cli`.

    Raises:
        ConfigError: anything in any source is not valid.
    """
    added = {name: origin for name, origin in (addopts or {}).items() if cli.get(name) is None}
    cli = {**cli, **{name: origin.value for name, origin in added.items()}}
    choice = settings.merge(cli, environ, ini, {}, ini_name=ini_name)["config"]
    path = _file(choice, rootdir)
    document = strict_yaml.read(path, strict_yaml.shown(path)) if path else Document(FILE_NAME)
    own_document = own.document()
    projects = _with_catalogue(_validated(document, path.parent if path else rootdir))
    config = own.merged(validated(own.OwnConfig, own_document), projects)
    merged = settings.merge(cli, environ, ini, config.defaults, ini_name=ini_name, yaml_name=document.name)
    origins = {name: _with_line(origin, document, name) for name, origin in merged.items()}
    origins |= {name: replace(origins[name], source=origin.source) for name, origin in added.items()}
    return Resolved(rootdir, settings.typed(origins), origins, config, document, path, own_document)


def load(path: Path | None) -> LlmbenchConfig:
    """The configuration in a file, the built-in models beneath it; those alone where `path` is None.

    Raises:
        ConfigError: the file cannot be read or is not valid.
    """
    if path is None:
        return _with_catalogue(LlmbenchConfig())
    return _with_catalogue(_validated(strict_yaml.read(path, strict_yaml.shown(path)), path.parent))


def parse(text: str, name: str = FILE_NAME, folder: Path | None = None) -> LlmbenchConfig:
    """The configuration in a text, without the built-in models.

    Args:
        text: YAML.
        name: how to name it in errors.
        folder: what relative `path:` sources are relative to; the current folder where not given.
    """
    return _validated(strict_yaml.parse(text, name), folder or Path.cwd())


def json_schema() -> dict[str, Any]:
    """The JSON Schema of llmbench.yaml, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **LlmbenchConfig.model_json_schema()}


def anchored(choice: Origin, rootdir: Path) -> Path:
    """A chosen path made absolute: one typed or from the environment starts here, one from a file at the root."""
    typed = choice.source.startswith(("--", "LLMBENCH_", *ADDOPTS))
    return ((Path.cwd() if typed else rootdir) / _expanded(choice.value)).absolute()


def _file(choice: Origin, rootdir: Path) -> Path | None:
    if choice.value:
        return anchored(choice, rootdir)
    usual = rootdir / FILE_NAME
    return usual if usual.exists() else None


def _with_line(origin: Origin, document: Document, name: str) -> Origin:
    if origin.source != document.name:
        return origin
    return replace(origin, source=f"{document.name}:{document.line(('defaults', name))}")


def is_built_in(name: str, definition: QuantDef) -> bool:
    """Whether a model (`name:QUANT`) is as the catalogue defines it, and not as llmbench.yaml does."""
    model, _, quant = name.partition(":")
    known = _catalogue().get(model)
    return known is not None and known.quants.get(quant) == definition


@cache
def _catalogue() -> Mapping[str, ModelDef]:
    return _validated(strict_yaml.read(CATALOGUE), CATALOGUE.parent).models


def _with_catalogue(config: LlmbenchConfig) -> LlmbenchConfig:
    models = dict(_catalogue())
    for name, model in config.models.items():
        below = models[name].quants if name in models else {}
        models[name] = ModelDef(quants={**below, **model.quants})
    return config.model_copy(update={"models": models})


def _validated(document: Document, folder: Path) -> LlmbenchConfig:
    config = validated(LlmbenchConfig, document)
    return config.model_copy(update={"models": {n: _anchored_model(m, folder) for n, m in config.models.items()}})


def _anchored_model(model: ModelDef, folder: Path) -> ModelDef:
    """The model with its `path:` sources made absolute."""
    quants = {
        name: quant.model_copy(update={"source": _anchored_source(quant.source, folder)})
        for name, quant in model.quants.items()
    }
    return model.model_copy(update={"quants": quants})


def _anchored_source(source: str, folder: Path) -> str:
    if source_forms.prefix_of(source) != source_forms.PATH:
        return source
    return f"{source_forms.PATH}{(folder / _expanded(source.removeprefix(source_forms.PATH))).absolute()}"


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text!r}: {error}", hint="write the path out") from error

"""Another quantization of a model: what it is called, and its way into the models folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_llmbench.config import QuantDef
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.models import quantize
from pytest_llmbench.models.checks import QUANTIZED_PREFIX, noted
from pytest_llmbench.models.folder import ModelFolder
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.models.names import model_of, split
from pytest_llmbench.models.transfer import Progress
from pytest_llmbench.records import ModelFile


def made_name(name: str, quant: str, defined: Mapping[str, QuantDef]) -> str:
    """What the quantization of a model will be called.

    Args:
        name: the model to make it from.
        quant: which one, in capitals.
        defined: the models whose files come from elsewhere.

    Raises:
        UsageError: that one cannot be made, or comes from elsewhere.
        MissingExtraError: the `gguf` package is not installed.
    """
    if quant not in quantize.QUANTS:
        raise UsageError(
            f"cannot make the quantization {quant!r:.60}{did_you_mean(quant, quantize.QUANTS)}",
            hint=f"these can be made: {', '.join(quantize.QUANTS)}",
        )
    made = f"{model_of(name)}:{quant}"
    if made in defined:
        raise UsageError(
            f"{made} is already defined, from {defined[made].source}", hint=f"`llmbench models pull {made}` fetches it"
        )
    quantize.load_quantizers()
    return made


def make(folder: ModelFolder, made: str, source: ModelFile, target: Path, tell: Progress) -> None:
    """Make the file of `made` from another model's, unless it was made from the same one before.

    Raises:
        ModelFileError: `source` cannot be read, or the folder cannot be written.
    """
    origin = f"{QUANTIZED_PREFIX}{source.name}@{source.sha256[:12]}"
    with folder.workspace(target, lambda: tell(0, None, "waiting for another process")) as work:
        known = folder.note(target)
        if known and known.source == origin and known.fits(target):
            return
        draft = work / target.name
        sha256 = quantize.requantize(
            Path(source.path),
            draft,
            split(made)[1],
            _quantized_from(source),
            lambda done, total: tell(done, total, f"making {made}"),
        )
        folder.land([draft], target, noted(made, [draft], [sha256], origin))


def _quantized_from(source: ModelFile) -> str | None:
    """The quantization that a file made from this one is "requantized from"."""
    header = read_header(source.path)
    origin = header.quantization if header.is_quantized else None
    return f"{origin}, from {source.requantized_from}" if origin and source.requantized_from else origin

"""The text of PDFs; needs pypdf."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_llmbench.datasets.media import read_bounded
from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra

MAX_BYTES = 64_000_000
MAX_PAGES = 2_000
MAX_CHARACTERS = 16_000_000


def text_of(path: Path) -> str:
    """The text of a PDF, pages after each other with an empty line between them.

    Raises:
        MissingExtraError: pypdf is not installed.
        UsageError: it is no PDF, wants a password, holds no text, or is too large.
    """
    library = from_extra("pypdf", "documents")
    data = read_bounded(path, MAX_BYTES)
    with _refusing(path, library):
        reader = library.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UsageError(f"{path} wants a password", hint="save a copy without one")
        if len(reader.pages) > MAX_PAGES:
            raise UsageError(f"{path} has {len(reader.pages)} pages; {MAX_PAGES} are the most")
        text = "\n\n".join(_pages(reader, path))
    if not text.strip():
        raise UsageError(f"{path} holds no text", hint="a scan? give its pages as pictures: a folder of .png files")
    return text


def _pages(reader: Any, path: Path) -> Iterator[str]:
    total = 0
    for page in reader.pages:
        text = str(page.extract_text()).strip()
        total += len(text)
        if total > MAX_CHARACTERS:
            raise UsageError(f"{path} holds more than {MAX_CHARACTERS} characters")
        if text:
            yield text.encode("utf-8", "replace").decode()


@contextmanager
def _refusing(path: Path, library: Any) -> Iterator[None]:
    """A damaged PDF ends in any of pypdf's many errors; what it logs of repairs is no matter of ours."""
    logger = logging.getLogger("pypdf")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except (library.errors.PyPdfError, *_DAMAGE) as error:
        raise UsageError(f"{path} cannot be read as PDF: {str(error) or type(error).__name__}") from None
    finally:
        logger.setLevel(level)


_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, RecursionError, OSError)

"""Datasets: rows of files, and files by themselves, become samples."""

from pytest_llmbench.datasets.columns import Columns, filled
from pytest_llmbench.datasets.documents import FILE_KINDS, document
from pytest_llmbench.datasets.files import Dataset, read, samples, stream
from pytest_llmbench.datasets.markers import Datasets, Declared
from pytest_llmbench.datasets.modalities import media_needs, refuse_media
from pytest_llmbench.datasets.rows import ROW_KINDS

__all__ = [
    "FILE_KINDS",
    "ROW_KINDS",
    "Columns",
    "Dataset",
    "Datasets",
    "Declared",
    "document",
    "filled",
    "media_needs",
    "read",
    "refuse_media",
    "samples",
    "stream",
]

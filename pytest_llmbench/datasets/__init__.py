"""Datasets: rows of JSONL and CSV files become samples."""

from pytest_llmbench.datasets.files import Columns, Dataset, read
from pytest_llmbench.datasets.markers import Datasets, Declared

__all__ = ["Columns", "Dataset", "Datasets", "Declared", "read"]

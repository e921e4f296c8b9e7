"""Evaluate and benchmark language models with pytest: quality, speed and cost of the same call in one record."""

__version__ = "0.1.0"

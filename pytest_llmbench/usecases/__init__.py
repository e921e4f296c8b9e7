"""Use cases: a folder with a page, data and expected answers becomes an evaluation."""

from pytest_llmbench.usecases.data import Placed
from pytest_llmbench.usecases.linting import Problem, lint
from pytest_llmbench.usecases.loading import folder_of, is_page, load
from pytest_llmbench.usecases.output import Output
from pytest_llmbench.usecases.page import PAGE
from pytest_llmbench.usecases.usecase import UseCase

__all__ = ["PAGE", "Output", "Placed", "Problem", "UseCase", "folder_of", "is_page", "lint", "load"]

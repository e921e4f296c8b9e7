"""A plugin for `llmbench run`: an option that nobody knows is told with the near name of one of ours."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from pytest_llmbench.errors import did_you_mean
from pytest_llmbench.options import OPTIONS

_FLAGS = tuple(flag for option in OPTIONS for flag in (option.short_flag, option.flag))


class NearOptions:
    """Looks at the command line when every plugin has said which options it takes, before pytest refuses the rest."""

    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(
        self, parser: pytest.Parser, args: Sequence[str]
    ) -> Generator[None, object, object]:
        done = yield
        _, unknown = parser.parse_known_and_unknown_args(args)
        for word in unknown:
            if near := did_you_mean(word.partition("=")[0], _FLAGS):
                raise pytest.UsageError(f"nobody knows the option {word!r}{near}\n  hint: `llmbench run --help`")
        return done

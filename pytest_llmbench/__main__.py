"""`python -m pytest_llmbench` is `llmbench`."""

from __future__ import annotations

import sys

from pytest_llmbench.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""What is made at its first use, and by one thread."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Once = cached_property  # a subclass is no property to those who check types
else:

    class Once(cached_property):
        """A `cached_property` that threads may want at the same time: one makes it, the others wait and get the same.

        That of Python 3.11 sees to this by itself; later ones make it as often as there are threads.
        """

        def __init__(self, make: Any) -> None:
            super().__init__(make)
            self._making = threading.RLock()

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            with self._making:
                return super().__get__(instance, owner)

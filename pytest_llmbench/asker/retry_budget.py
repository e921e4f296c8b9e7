"""How many second attempts a run makes in all, whatever goes wrong: one bucket of tokens for all models.

Each attempt at a question but its first takes a token: after a 429 and a 503, too. So at any time

    second attempts ≤ 100 + share × answers + seconds since the run began

- **100** are there at the beginning, and never more than that: one for each request that may be under way at once to
  one model, so that a server which drops them all once is forgiven. (AWS' SDKs begin with the same: 500 tokens at 5 a
  retry.)
- **0.2** come back with each answer, unless `retry_budget` says otherwise: retries add a fifth to the load of a server
  that is well, as in Finagle, Linkerd and Envoy. The 10 % of Google's SRE book is for a service with many clients at
  once; we are one, and what we give up is missing in a result.
- **1** comes back each second, so that a run to which little is answered goes on, too, and an account that allows one
  question a second is not slowed down. (Finagle and Linkerd: 10.)

gRPC stops all retries while its bucket is below one half. We have questions wait for a token, in the order in which
they came.
"""

from __future__ import annotations

IN_HAND = 100.0
A_SECOND = 1.0
SHARE = 0.2
"""For each answer."""


class RetryBudget:
    """Counts tokens. All times are seconds of one monotonic clock, given by the caller.

    Args:
        share: how many come back with each answer.
        now: when the run begins.
    """

    def __init__(self, share: float, now: float) -> None:
        self._share = share
        self._left = IN_HAND
        self._at = now

    def left(self, now: float) -> float:
        """How many there are; may be called from any thread."""
        return min(IN_HAND, self._left + (now - self._at) * A_SECOND)

    def answered(self) -> None:
        """A question was answered."""
        self._left = min(IN_HAND, self._left + self._share)

    def take(self, now: float) -> bool:
        """Take one for a second attempt; False where there is none."""
        left = self.left(now)
        if left < 1:
            return False
        self._left, self._at = left - 1, now
        return True

    def wait_s(self, now: float) -> float:
        """How long until there is one, if nothing is answered meanwhile."""
        return max(0.0, 1 - self.left(now)) / A_SECOND

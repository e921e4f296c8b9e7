"""All parts of a model, downloaded one after the other and told as one."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmbench.errors import ModelFileError
from pytest_llmbench.models import download
from pytest_llmbench.models.remote import RemoteFile
from pytest_llmbench.models.transfer import Fetched, Order, Progress, check_pin


def fetch_parts(order: Order, remotes: Sequence[RemoteFile], revision: str = "") -> Fetched:
    """Download files into the places that an order names.

    Args:
        order: as many places as there are `remotes`.
        remotes: the files, in the order of the parts.
        revision: told in what is returned.

    Raises:
        ModelFileError: one cannot be had, or is not what it should be.
        OSError: one cannot be written.
    """
    drafts = []
    for number, (remote, target) in enumerate(zip(remotes, order.files, strict=True), 1):
        shown = f"{order.name} ({number} of {len(remotes)})" if len(remotes) > 1 else order.name
        drafts.append(download.fetch(remote, target, _named(order.progress, shown)))
    hashes = tuple(draft.sha256 for draft in drafts)
    try:
        check_pin(order, hashes, order.source)
    except ModelFileError:
        for draft in drafts:
            draft.discard()
        raise
    for draft in drafts:
        draft.finish()
    return Fetched(hashes, revision)


def _named(progress: Progress, name: str) -> Progress:
    """Told under the model's name: the address is long, and stands in `llmbench models list`."""
    return lambda done, total, what: progress(done, total, f"{what.partition(' ')[0]} {name}")

"""Datasets from the archives that their owners give out: ``tabench data prepare``."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from tabench.data.prepare.guide import GUIDES
from tabench.data.prepare.request import Outcome, Request
from tabench.errors import SpecError
from tabench.text import suggestion

__all__ = ["GUIDES", "Outcome", "Request", "prepare"]


def prepare(name: str, request: Request) -> Outcome:
    """Prepare a dataset; a call that was stopped is finished by making it again.

    What was written is looked at as before a run, see `spot_check`; suspicious values are notes.

    Raises:
        SpecError: No such dataset can be prepared.
        DataError: A source is missing, damaged, unsafe or not what it should be, or holds impossible values.
        StoreError: The folder cannot be written, or the disk is too small.
    """
    guide = GUIDES.get(name)
    if guide is None:
        hint = suggestion(name, GUIDES, "these can be prepared")
        raise SpecError(f"no dataset '{name}' that can be prepared", hint=hint)
    from tabench.catalog import DATASETS
    from tabench.data.spot_check import check_folder

    outcome = cast(Outcome, import_module(guide.module).prepare(request))
    outcome.notes += check_folder(DATASETS.get(name), request.root)
    return outcome

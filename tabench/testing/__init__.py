"""The contract battery: what every registered method, balancer, task, dataset, backbone or executor must do.

`pytest --pyargs tabench.testing` runs it over everything that is registered, `-k NAME` over one entry
(docs/extending.md). It needs an installed tabench and pytest, and no other file.
"""

from __future__ import annotations

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the contract battery is run by pytest, which is not installed: pip install 'tabench[testing]'",
        name="pytest",
    ) from error

pytest.register_assert_rewrite("tabench.testing.folders", "tabench.testing.models")

"""What the tests of notebooks share: no client is remembered from one test to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from epsignal_sync.notebook import clients


@pytest.fixture(autouse=True)
def no_client_is_left() -> Iterator[None]:
    yield
    clients._close_all()

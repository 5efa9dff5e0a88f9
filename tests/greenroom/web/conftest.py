"""One surface for the tests that change nothing about it."""

import pytest

from tests.greenroom.web.surface import client
from tests.support.asgi import Client


@pytest.fixture(scope="session")
def door() -> Client:
    """A client of the whole surface, with the default config."""
    return client()

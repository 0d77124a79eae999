"""Fixtures that the tests of the command line share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.tests.command_runner import home_of_stack
from cli.tests.stub_gateway import StubGateway, stub_gateway


@pytest.fixture
def gateway() -> Iterator[StubGateway]:
    """A stub of the gateway; the test sets its responses."""
    with stub_gateway() as stub:
        yield stub


@pytest.fixture
def home(gateway: StubGateway, tmp_path: Path) -> Iterator[str]:
    """The path of a home on which only that gateway runs."""
    with home_of_stack(tmp_path / "home", gateway.url) as home:
        yield str(home.root)

"""What the tests of the command line share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.tests.stub_gateway import StubGateway, home_of, stub_gateway


@pytest.fixture
def gateway() -> Iterator[StubGateway]:
    """A gateway that answers as the test says."""
    with stub_gateway() as stub:
        yield stub


@pytest.fixture
def home(gateway: StubGateway, tmp_path: Path) -> Iterator[str]:
    """A home on which nothing but that gateway runs."""
    with home_of(gateway, tmp_path / "home") as root:
        yield str(root)

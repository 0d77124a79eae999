"""An embedded stack for the tests of a module."""

from collections.abc import Iterator

import pytest

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack

ODD_NAME = "a home é 日 [x] 'q' \"d\" $x %s \\ #;&{}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Run a stack in a folder with an odd name and, as pytest makes them, mode 700."""
    with EmbeddedStack(tmp_path_factory.mktemp("home") / ODD_NAME) as running:
        yield running

"""Fixtures of every test in the repository."""

pytest_plugins = ["tests.support.infrastructure", "tests.support.system"]

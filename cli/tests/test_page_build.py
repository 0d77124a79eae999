"""Building the web page, and comparing the committed bundle with its sources; without Node, which is slow."""

from pathlib import Path

import pytest

from k1_cli import page_build
from k1_cli.errors import CommandError


def test_any_differing_byte_is_found(tmp_path: Path) -> None:
    """A changed file, one that only the build makes, and one that only the committed bundle has."""
    for folder, files in {
        "built": {"index.html": "a", "assets/new.js": "", "assets/same.js": "s"},
        "committed": {"index.html": "b", "assets/old.js": "", "assets/same.js": "s"},
    }.items():
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    assert page_build.find_differences(tmp_path / "built", tmp_path / "committed") == [
        "assets/new.js",
        "assets/old.js",
        "index.html",
    ]


def test_without_node_the_check_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that could not run has not passed."""
    monkeypatch.setattr(page_build, "find_node", lambda: None)
    (wrong,) = page_build.check_bundle()
    assert wrong.startswith("the page was not checked: there is no Node.js here")
    with pytest.raises(CommandError, match="install Node"):
        page_build.build()


def test_packages_that_cannot_be_installed_fail_the_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For example without a network: nothing was compared, so nothing passed."""
    node = tmp_path / "bin" / "node"
    node.parent.mkdir()
    node.write_text("#!/bin/sh\nexit 1\n")
    node.chmod(0o755)
    monkeypatch.setattr(page_build, "find_node", lambda: node.parent)
    monkeypatch.setattr(page_build, "_STAMP", tmp_path / "nothing-installed")
    (wrong,) = page_build.check_bundle()
    assert "cannot be installed" in wrong
    assert "npm" in wrong


def test_the_packages_for_development_bring_node() -> None:
    """`./k1 check` needs nothing but Python on the machine."""
    folder = page_build.find_node()
    assert folder is not None
    assert (folder / "node").is_file()

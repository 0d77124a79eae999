"""Checks of the repository: licences, locks, documents, hooks and workflows."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from k1_cli.app import app
from k1_cli.commands.development import checks
from tests.support.groups import SHARED_GROUPS, SLOWEST_FIRST, group_of
from tools import development_requirements

ROOT = Path(__file__).parents[2]
MARKDOWN_COLUMNS = 120
_UNBREAKABLE = re.compile(r"^(?:[*-] )?!?\[[^\]]*\]\([^)]*\)$|^\S+$")
"""A line that is one link, picture or word."""
PROJECTS = sorted(
    p for folder in ("libs", "services", "simulator", "cli") for p in (ROOT / folder).rglob("pyproject.toml")
)


def _tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout: there is no list of tracked files")
    return [ROOT / name for name in listing.stdout.splitlines()]


def test_bytecode_is_kept_where_the_environment_forbids_it(tmp_path: Path) -> None:
    """Containers often forbid it; then each process would compile whatever it imports, every time."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    subprocess.run([ROOT / "k1", "--help"], env=environment, capture_output=True, check=True)
    assert list(tmp_path.rglob("app.*.pyc"))


def test_every_locked_package_has_its_licence_listed() -> None:
    """After a change of the lock, run tools/third_party_licences.py."""
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    listed = set(
        re.findall(r"^\| ([\w.-]+) \|", (ROOT / "docs/third-party-licences.md").read_text(), re.MULTILINE)
    )
    assert locked <= listed
    assert listed - locked <= {"package", "---"}


def test_the_lock_pins_with_hashes_and_names_no_host() -> None:
    """Each requirement has a hash; the lock names no index and no download address."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    blocks = re.split(r"\n(?=\S)", lock)
    unpinned = [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
    assert unpinned == []


def test_the_lock_is_complete() -> None:
    """All direct and indirect requirements, extras too, are pinned, because `k1` installs the lock without resolving."""
    lock = (ROOT / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE))
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    waiting = [*root["project"]["dependencies"], *root["dependency-groups"]["dev"]]
    seen: set[str] = set()
    while waiting:
        line = waiting.pop()
        needed = Requirement(line)
        name = canonicalize_name(needed.name)
        assert name.startswith("k1-") or needed.specifier.contains(pins[name], prereleases=True), line
        for extra in {"", *needed.extras}:
            further = [each for each in distribution(name).requires or [] if applies(each, extra)]
            waiting += [each for each in further if each not in seen]
            seen.update(further)


def applies(requirement: str, extra: str) -> bool:
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": extra})


def test_development_requirements_are_listed() -> None:
    """After a change of the lock, run tools/development_requirements.py: `./k1 up` installs all others."""
    assert development_requirements.DOCUMENT.read_text() == development_requirements.document()


def test_no_package_imports_a_development_requirement() -> None:
    """Every import in our packages, also inside functions, is of a package that `./k1 up` installs."""
    left_out = set(development_requirements.DOCUMENT.read_text().splitlines())
    distributions = packages_distributions()
    missing = {
        module: sorted(names)
        for module, names in distributions.items()
        if {canonicalize_name(name) for name in names} <= left_out
    }
    imports = {(source, name) for source in _shipped() for name in _imported(source)}
    assert {name for _, name in imports} >= {"numpy", "matplotlib", "typer", "av"}
    assert [f"{source.name}: {name}" for source, name in imports if name in missing] == []
    ours = {folder.name for project in PROJECTS for folder in project.parent.glob("k1_*")}
    known = {*sys.stdlib_module_names, *distributions, *ours}
    assert [f"{source.name}: {name}" for source, name in imports if name not in known] == []


def _shipped() -> list[Path]:
    """Return the modules of our packages, without those of the extras `testing` and `onnx`."""
    extras = {
        "k1_graph/testing.py",
        "k1_graph/strategies.py",
        "engine/testing.py",
        "engine/activation_onnx.py",
    }
    sources = [source for project in PROJECTS for source in project.parent.glob("k1_*/**/*.py")]
    return [source for source in sources if not source.as_posix().endswith(tuple(extras))]


def _imported(source: Path) -> set[str]:
    """Return the top-level packages that a module imports anywhere."""
    nodes = list(ast.walk(ast.parse(source.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_every_package_names_its_licence(project: Path) -> None:
    """The licence of Essentia applies to what imports it, so everything is AGPL."""
    assert 'license = "AGPL-3.0-or-later"' in project.read_text()


def test_relative_links_lead_to_files() -> None:
    """Each relative link in the documents has a target."""
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_markdown_is_wrapped() -> None:
    """It is wrapped at 120 columns, except tables, code and unbreakable lines."""
    documents = [path for path in _tracked() if path.suffix == ".md" and path.is_file()]
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in documents
        for number, line in _prose(path.read_text(encoding="utf-8"))
        if len(line) > MARKDOWN_COLUMNS and re.search(r"\s", _UNBREAKABLE.sub("", line.strip()))
    ]
    assert len(documents) > 40
    assert long == []


def _prose(text: str) -> list[tuple[int, str]]:
    """Return the numbered lines of a Markdown text that belong neither to a table nor to a block of code."""
    fenced = False
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.lstrip().startswith("|"):
            lines.append((number, line))
    return lines


def test_the_checks_before_a_commit_are_those_of_k1_check() -> None:
    """The hooks run the same tools with the same arguments, from the environment of the project."""
    (source,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert source["repo"] == "local", "a hook of another repository would be downloaded"
    hooks = {hook["id"]: hook["entry"] for hook in source["hooks"] if "stages" not in hook}
    wanted = {
        name: f".venv/bin/{' '.join(command).removesuffix(' .')}" for name, command in checks._CHECKS.items()
    }
    assert {name: entry.removesuffix(" --force-exclude") for name, entry in hooks.items()} == wanted


def test_the_workflows_are_closed_and_pinned() -> None:
    """They have no default permissions, pin actions by commit, and run one command on every supported Python."""
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    actions = re.findall(r"uses: (.*)", text)
    assert actions
    assert [each for each in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", each)] == []
    (job,) = workflow["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    supported = SpecifierSet(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    versions = [f"3.{minor}" for minor in range(30)]
    assert job["strategy"]["matrix"]["python"] == [each for each in versions if each in supported]


def test_groups_of_tests_are_named_as_their_files() -> None:
    """A file that is renamed must be renamed there too, or it starts late and has a system of its own."""
    paths = [group for group in SLOWEST_FIRST if group.endswith(".py")]
    assert paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    assert [start for start in SHARED_GROUPS if not list(ROOT.glob(f"{start.rstrip('/')}*"))] == []


def test_users_of_the_shared_system_are_in_its_group() -> None:
    """The system ends with the last test of its group, so a later test of another group would find it gone."""
    modules = {
        path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")
    }
    users = [
        path
        for path, text in modules.items()
        if re.search(r"\b(system: System|signed_in: SignedIn)\b", text) and "def system(" not in text
    ]
    assert len(users) > 1
    assert [path for path in users if group_of(f"{path}::test") != "system"] == []


def test_ci_measures_coverage_and_fails_below_the_limit() -> None:
    """`.ci/run` runs the checks and all tests with coverage, and stops at the first that fails.

    Before that it may only install the browser of tests/web.
    """
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if not line.startswith("#")]
    assert commands[:2] == ["set -eu", 'cd "$(dirname "$0")/.."']
    assert commands[-3:] == ["./k1 check", "./k1 web test", "./k1 test --cov"]
    report = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]
    assert report["fail_under"] >= 85


def test_no_large_or_secret_files_are_tracked() -> None:
    """No file is larger than 2 MB, and none is a private key."""
    tracked = [path for path in _tracked() if path.is_file()]
    assert [path.name for path in tracked if path.stat().st_size > 2_000_000] == []
    marker = b"-----BEGIN " + b"PRIVATE KEY-----"
    assert [path.name for path in tracked if marker in path.read_bytes()] == []


def test_the_documents_name_commands_and_options_that_exist() -> None:
    """The command and the options of every `./k1 ...` line of the guides exist."""
    unknown: list[str] = []
    for document in ("README.md", "CONTRIBUTING.md", "docs/operations.md"):
        for line in re.findall(r"\./k1 ([^`#\n]+)", (ROOT / document).read_text(encoding="utf-8")):
            words = line.split()
            command: Any = typer.main.get_command(app)
            while words and (group := getattr(command, "commands", None)):
                command = group.get(words.pop(0))
            if command is not None and command.name == "test":
                continue  # its options are those of pytest
            options = {name for parameter in getattr(command, "params", []) for name in parameter.opts}
            wrong = [word for word in words if word.startswith("--") and word not in options]
            if command is None or wrong:
                unknown.append(line)
    assert unknown == []


def test_every_subscriber_uses_the_platform() -> None:
    """Only the platform subscribes, because it responds to or acknowledges a message whatever the handler raises."""
    calling = {
        path.relative_to(ROOT).as_posix()
        for folder in ("libs", "services", "simulator")
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.relative_to(ROOT).parts and "broker.subscriber(" in path.read_text()
    }
    assert calling == {
        "libs/platform/k1_platform/nats/streams/consumers.py",
        "libs/platform/k1_platform/nats/queries/query_server.py",
    }

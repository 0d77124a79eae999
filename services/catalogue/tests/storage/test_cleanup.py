"""A cleanup never removes what something refers to, in whatever order things happen while it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k1_catalogue.storage.cleanup import Cleaner
from k1_catalogue.storage.cleanup_plan import CleanupRules, Usage, plan_cleanup
from k1_platform.storage.objects import ListedObject

DAY = timedelta(days=1)
RULES = CleanupRules(safety_age=DAY, keep_replaced=7 * DAY)
RETENTION = 30 * DAY
START = datetime(2026, 3, 1, tzinfo=UTC)
WHEN = st.sampled_from([0, 0, 1, 2, 3, 4])
FOLDERS = ["artefacts/a", "runs/b"]
NAMES = ["track.genesis.json", "waveform.dat", "manifest.json"]


@dataclass
class Row:
    key: str
    deleted_at: datetime | None = None


@dataclass
class World:
    """A store and the tables, whose state another process may change before each call."""

    now: datetime = START
    objects: dict[str, ListedObject] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    bundles: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    retired: dict[str, datetime] = field(default_factory=dict)
    meanwhile: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    """What others do while a cleanup runs, and before which of its calls."""
    calls: int = 0

    looking: bool = True
    """Whether a cleanup goes through the store, and has not come to remove anything yet."""

    def put(self, key: str) -> None:
        self.objects[key] = ListedObject(key, 10, self.now)

    def referenced(self) -> set[str]:
        live = {row.key for row in self.rows if not self.is_expired(row)}
        return live | self.bundles | self.links

    def is_expired(self, row: Row) -> bool:
        return row.deleted_at is not None and row.deleted_at <= self.now - RETENTION

    def _others(self) -> None:
        self.calls += 1
        for call, action in self.meanwhile:
            if call == self.calls:
                action()

    async def batches(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        self.looking = not prefix
        self._others()
        found = [each for key, each in sorted(self.objects.items()) if key.startswith(prefix)]
        for at in range(0, len(found), 2):
            yield found[at : at + 2]

    async def delete(self, key: str) -> None:
        del self.objects[key]

    async def usage(self, keys: Sequence[str], now: datetime) -> Usage:
        used = self.referenced()
        expired = {row.key for row in self.rows if self.is_expired(row)} - used
        if self.looking:  # between the second look and the removal there is nothing
            self._others()
        return Usage(dict.fromkeys(used & set(keys), "any"), expired & set(keys), dict(self.retired))

    async def remove_expired(self, now: datetime) -> Collection[str]:
        gone = [row for row in self.rows if self.is_expired(row)]
        self.rows = [row for row in self.rows if not self.is_expired(row)]
        self.retired |= dict.fromkeys((row.key for row in gone), now)
        return {row.key for row in gone}

    async def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.retired.pop(key, None)

    def cleaner(self) -> Cleaner:
        return Cleaner(self, self, RULES, lambda: self.now)


class Cleanups(RuleBasedStateMachine):
    """Analyses, edits, deployments, links, deletions and cleanups, the cleanups also in the middle of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.again = 0
        self.queued: list[tuple[datetime, str]] = []
        """Analyses that have stored or found their files, and whose rows are still to come."""

    def do(self, call: int, action: Callable[[], None]) -> None:
        """Do it now, or before this call of the next cleanup."""
        if call:
            self.world.meanwhile.append((call, action))
        else:
            action()

    @rule(folder=st.sampled_from(FOLDERS), later=WHEN)
    def analyse(self, folder: str, later: int) -> None:
        """A worker stores the files of an analysis, or finds them and stores the manifest again."""

        def store() -> None:
            keys = [f"{folder}/{name}" for name in NAMES]
            if all(key in self.world.objects for key in keys):
                self.world.put(keys[-1])
                self.queued.append((self.world.now, folder))
                return
            # As the worker does: a manifest that lacks a file stays, and the new files get a folder of their own.
            self.again += keys[-1] in self.world.objects
            target = f"{folder}/again/{self.again}" if keys[-1] in self.world.objects else folder
            for name in NAMES:
                assert f"{target}/{name}" not in self.world.referenced(), "it would get another content"
                self.world.put(f"{target}/{name}")
            self.queued.append((self.world.now, target))

        self.do(later, store)

    @rule(later=WHEN)
    def complete(self, later: int) -> None:
        """The catalogue adds the rows of an analysis, within a day of its end."""

        def insert() -> None:
            fresh = [folder for at, folder in self.queued if self.world.now - at < DAY]
            self.queued.clear()
            self.world.rows += [Row(f"{folder}/{name}") for folder in fresh for name in NAMES[:-1]]

        self.do(later, insert)

    @rule(number=st.integers(0, 1), deployed=st.booleans(), later=WHEN)
    def build_bundle(self, number: int, deployed: bool, later: int) -> None:
        """The catalogue stores a bundle with its row, which replaces the one before; a deployment may refer to it."""
        key = f"graphs/{number}/bundle.k1b"

        def build() -> None:
            self.world.put(key)
            replaced = [row for row in self.world.rows if row.key.startswith("graphs/") and row.key != key]
            self.world.rows = [row for row in self.world.rows if row not in replaced] + [Row(key)]
            self.world.retired |= dict.fromkeys((row.key for row in replaced), self.world.now)
            if deployed:
                self.world.bundles.add(key)

        self.do(later, build)

    @rule(pick=st.integers(0, 20), later=WHEN)
    def delete_artefact(self, pick: int, later: int) -> None:
        """Somebody deletes an artefact, or restores it in time."""

        def toggle() -> None:
            live = [row for row in self.world.rows if not self.world.is_expired(row)]
            if live:
                row = live[pick % len(live)]
                row.deleted_at = self.world.now if row.deleted_at is None else None

        self.do(later, toggle)

    @rule(pick=st.integers(0, 20), made=st.booleans(), later=WHEN)
    def link(self, pick: int, made: bool, later: int) -> None:
        """Somebody makes a link to an artefact, or all links are revoked."""

        def change() -> None:
            live = [row for row in self.world.rows if row.deleted_at is None]
            if made and live:
                self.world.links.add(live[pick % len(live)].key)
            elif not made:
                self.world.links.clear()

        self.do(later, change)

    @rule(days=st.sampled_from([0.4, 1.1, 8, 31]))
    def wait(self, days: float) -> None:
        self.world.now += timedelta(days=days)

    @rule()
    def clean_up(self) -> None:
        """Without others, the dry run says exactly what the real run removes."""
        quiet = not self.world.meanwhile
        dry = asyncio.run(self.world.cleaner().clean(dry_run=True)) if quiet else None
        self.world.calls = 0
        before = set(self.world.objects)
        done = asyncio.run(self.world.cleaner().clean(dry_run=False))
        self.world.meanwhile.clear()
        self.world.calls = 0
        if dry is not None:
            assert dry.removed == done.removed
            assert before - set(self.world.objects) == {each.key for each in done.removed}

    @invariant()
    def everything_referenced_exists(self) -> None:
        assert self.world.referenced() <= set(self.world.objects)

    @invariant()
    def a_manifest_has_its_files(self) -> None:
        """A manifest whose files are all gone would promise files that are not there."""
        for folder in FOLDERS:
            if f"{folder}/manifest.json" in self.world.objects:
                assert any(f"{folder}/{name}" in self.world.objects for name in NAMES[:-1])


TestCleanups = Cleanups.TestCase
TestCleanups.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_everything_unused_goes_in_the_end() -> None:
    """What nobody refers to does not stay for ever, and what lies outside the known folders is never touched."""
    world = World()
    for key in (
        "audio/trk_1/source.mp3",
        "artefacts/a/manifest.json",
        "artefacts/a/waveform.dat",
        "backup/1",
    ):
        world.put(key)
    world.now += 2 * DAY
    done = asyncio.run(world.cleaner().clean(dry_run=False))
    assert (set(world.objects), done.objects, done.bytes) == ({"backup/1"}, 3, 30)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_what_comes_into_use_during_a_cleanup_stays(call: int) -> None:
    """A bundle that nothing refers to is built again just before the cleanup would remove it."""
    world, key = World(), "graphs/0/bundle.k1b"
    world.put(key)
    world.now += 2 * DAY

    def build() -> None:
        world.put(key)
        world.rows.append(Row(key))

    world.meanwhile.append((call, build))
    done = asyncio.run(world.cleaner().clean(dry_run=False))
    assert (key in world.objects, done.objects) == (True, 0)


def test_a_reused_analysis_stays_until_its_rows_come() -> None:
    """The worker finds old files that nothing refers to and stores their manifest again: the files stay."""
    world = World()
    for name in NAMES:
        world.put(f"artefacts/a/{name}")
    world.now += 30 * DAY
    world.put("artefacts/a/manifest.json")
    assert asyncio.run(world.cleaner().clean(dry_run=False)).objects == 0


def test_a_manifest_stays_while_a_file_beside_it_is_in_use() -> None:
    """Without it, an analysis of the same audio would write other content over the file."""
    world = World(rows=[Row("artefacts/a/track.genesis.json")])
    for name in NAMES:
        world.put(f"artefacts/a/{name}")
    world.now += 2 * DAY
    asyncio.run(world.cleaner().clean(dry_run=False))
    assert set(world.objects) == {"artefacts/a/track.genesis.json", "artefacts/a/manifest.json"}


def test_a_crash_leaves_no_manifest_without_its_files() -> None:
    """The manifest goes first: files without a manifest are made again, a manifest without files is a lie."""
    world = World()
    for name in NAMES:
        world.put(f"artefacts/a/{name}")
    world.now += 2 * DAY
    removed = [key for key in _removed_in_order(world) if key.startswith("artefacts/a/")]
    assert removed[0] == "artefacts/a/manifest.json"


def _removed_in_order(world: World) -> list[str]:
    usage = Usage({}, frozenset(), {})
    return [each.listed.key for each in plan_cleanup(world.objects.values(), usage, RULES, world.now)]


@given(st.integers(0, 20), st.integers(0, 20))
def test_age_decides(stored_days: int, retired_days: int) -> None:
    """A replaced artefact goes when it is both old enough and replaced long enough ago."""
    listed = ListedObject("artefacts/a/x.json", 1, START - stored_days * DAY)
    usage = Usage({}, frozenset(), {listed.key: START - retired_days * DAY})
    gone = bool(plan_cleanup([listed], usage, RULES, START))
    assert gone == (stored_days >= 1 and retired_days >= 7)
    assert plan_cleanup([listed], replace(usage, in_use={listed.key: "graph"}), RULES, START) == []

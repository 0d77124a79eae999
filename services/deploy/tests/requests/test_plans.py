"""Plans of deployments, with real tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from k1_contracts.graph import GraphImpact
from k1_contracts.messages.deploy.bundles import BundleInfo, CompareGraphs, GetBundle
from k1_contracts.messages.deploy.deployment_queries import PlanDeployment
from k1_contracts.messages.deploy.deployments import ActivateAt, GateOverride, Strategy
from k1_contracts.messages.telemetry import Presence
from k1_deploy.devices import device_store
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.requests.plans import Planner
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.deploy.tests.bundles import bundle_info
from services.deploy.tests.deployment_lookup import FakeDeploymentLookup
from services.deploy.tests.scripted_device import bundle, hello

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TRACK = bundle(1).track_id or ""
DEVICES = [f"d{number}" for number in range(6)]


class FakeCatalogue:
    """Responds as the catalogue does, and records the queries."""

    def __init__(self) -> None:
        self.info = bundle_info(1)
        self.compared: list[CompareGraphs] = []

    async def get_bundle(self, question: GetBundle) -> BundleInfo:
        if question.version != 1:
            raise QueryError("bundle_missing", "simulate it", 409)
        return self.info

    async def compare(self, question: CompareGraphs) -> GraphImpact:
        self.compared.append(question)
        if question.running.bundle_sha256 == bundle(9).bundle_sha256:
            raise QueryError("bundle_unknown", "nothing is known of it", 404)
        return impact(question.running.version or 0)


def impact(number: int) -> GraphImpact:
    return GraphImpact(
        added_nodes=[],
        removed_nodes=[],
        changed_params=[],
        changed_inputs=[],
        changed_nodes=[f"n{number}"],
        closure_depth=0,
        impact_order=[],
    )


@pytest.fixture
def catalogue() -> FakeCatalogue:
    return FakeCatalogue()


@pytest.fixture
def lookup() -> FakeDeploymentLookup:
    return FakeDeploymentLookup()


@pytest.fixture
def presence() -> PresenceCache:
    table = PresenceCache(6.0, lambda: 0.0)
    for device_id in DEVICES:
        table.put(device_id, Presence(device_id=device_id, online_since=NOW, last_seen=NOW))
    return table


@pytest.fixture
async def planner(
    pool: Pool, presence: PresenceCache, lookup: FakeDeploymentLookup, catalogue: FakeCatalogue
) -> Planner:
    """Six devices in the group `stage`: two run bundle 2, one bundle 3, one an unknown bundle, two nothing."""
    running = [bundle(2), bundle(2), bundle(3), bundle(9), None, None]
    async with pool.acquire() as connection:
        await device_store.insert_devices(connection, DEVICES, "nats", "stage", NOW)
        for device_id, active in zip(DEVICES, running, strict=True):
            await device_store.save_hello(connection, hello(device_id, active=active), NOW)
    return Planner(pool, presence, lookup, catalogue.get_bundle, catalogue.compare, lambda: NOW)


def order(**changes: Any) -> PlanDeployment:
    return PlanDeployment.model_validate({"track_id": TRACK, "version": 1, "group": "stage", **changes})


async def expect_error(planner: Planner, asked: PlanDeployment) -> tuple[str, int]:
    with pytest.raises(QueryError) as found:
        await planner.plan(asked)
    return found.value.code, found.value.status


async def test_an_activation_time_in_the_past_is_rejected(planner: Planner) -> None:
    """A deployment for eight o'clock that is ordered at nine would activate at once."""
    assert await expect_error(planner, order(activation=ActivateAt(at=NOW))) == (
        "activation_in_the_past",
        422,
    )
    later = order(activation=ActivateAt(at=NOW + timedelta(seconds=1)))
    assert (await planner.plan(later)).would_start


async def test_a_plan_in_which_all_is_well(planner: Planner, catalogue: FakeCatalogue) -> None:
    """Batches in order, what runs and what changes; the same running bundle is compared once."""
    plan = await planner.plan(
        order(strategy=Strategy(canary=1, batch_size=3, observe_seconds=5), with_impacts=True)
    )
    assert plan.would_start
    assert plan.bundle == catalogue.info.bundle
    assert plan.batches == [["d0"], ["d1", "d2", "d3"], ["d4", "d5"]]
    assert [device.batch for device in plan.devices] == [1, 2, 2, 2, 3, 3]
    assert [device.runs for device in plan.devices] == [
        bundle(2),
        bundle(2),
        bundle(3),
        bundle(9),
        None,
        None,
    ]
    changed = {sha256: impact.changed_nodes for sha256, impact in plan.impacts.items()}
    assert changed == {bundle(2).bundle_sha256: ["n2"], bundle(3).bundle_sha256: ["n3"]}
    assert len(catalogue.compared) == 3
    assert plan.steps == [
        "Stage bundle 000000000000 (98 KiB) on 6 devices; nothing changes yet.",
        "Activate batch 1 of 3 (canary): d0, as soon as all are armed.",
        "Watch it for 5 s.",
        "Activate batch 2 of 3: d1, d2, d3, as soon as all are armed.",
        "Watch them for 5 s.",
        "Activate batch 3 of 3: d4, d5, as soon as all are armed.",
        "Watch them for 5 s.",
        "Commit: what ran before stays on the devices for ten minutes, then it is discarded.",
    ]


async def test_a_plan_changes_nothing(planner: Planner, pool: Pool) -> None:
    """Not one row."""
    tables = ["devices", "audit", "outbox", "inbox", "credentials"]

    async def everything() -> list[str]:
        return [str(await pool.fetch(f"SELECT * FROM deploy.{table} ORDER BY 1")) for table in tables]

    before = await everything()
    await planner.plan(order())
    assert await everything() == before


@pytest.mark.parametrize(
    ("max_failures", "starts"), [(0, False), (1, False), (2, True), ("33%", False), ("34%", True)]
)
async def test_blocked_devices_count_as_failures(
    planner: Planner, presence: PresenceCache, max_failures: int | str, starts: bool
) -> None:
    """Two of six are offline: with fewer allowed nothing would start, else they are left out."""
    presence.expire("d1")
    presence.expire("d4")
    plan = await planner.plan(order(strategy=Strategy(max_failures=max_failures)))
    assert plan.would_start == starts
    assert [device.device_id for device in plan.devices if device.batch is None] == ["d1", "d4"]
    assert plan.batches == [["d0", "d2", "d3", "d5"]]
    assert ("Leave out 2 devices, which a gate blocks." in plan.steps) == starts


async def test_no_device_left(planner: Planner, presence: PresenceCache) -> None:
    """A deployment without devices would not start, however many may fail."""
    for device_id in DEVICES:
        presence.expire(device_id)
    plan = await planner.plan(order(strategy=Strategy(max_failures="100%")))
    assert (plan.would_start, plan.batches, plan.steps) == (False, [], [])


async def test_a_show_that_fails_a_gate(planner: Planner, catalogue: FakeCatalogue) -> None:
    """It would not start, unless an operator overrides the gate for all."""
    catalogue.info = bundle_info(1, photosensitivity_passed=False)
    assert not (await planner.plan(order())).would_start
    lifted = GateOverride(gate="photosensitivity", reason="shown to an empty hall only")
    plan = await planner.plan(order(overrides=[lifted]))
    assert plan.would_start
    assert [check.gate for check in plan.checks if check.overridden] == ["photosensitivity"]


async def test_the_deployments_that_a_plan_waits_for(planner: Planner, lookup: FakeDeploymentLookup) -> None:
    """Every deployment that locks one of the devices, once."""
    lookup.held = {
        "d0": "dep_" + "B" * 26,
        "d1": "dep_" + "A" * 26,
        "d2": "dep_" + "B" * 26,
        "x": "dep_" + "C" * 26,
    }
    plan = await planner.plan(order())
    assert plan.waits_for == ["dep_" + "A" * 26, "dep_" + "B" * 26]
    assert plan.steps[0] == f"Wait for {plan.waits_for[0]}, {plan.waits_for[1]} to end."


async def test_devices_by_id(planner: Planner) -> None:
    """In the order given, each once: the first is the canary."""
    asked = order(group=None, device_ids=["d3", "d0", "d3", "d5"], strategy=Strategy(canary=1))
    assert (await planner.plan(asked)).batches == [["d3"], ["d0", "d5"]]


async def test_one_device(planner: Planner) -> None:
    """The texts fit a single device, a moment and no observation."""
    asked = order(
        group=None,
        device_ids=["d0"],
        strategy=Strategy(observe_seconds=0),
        activation={"when": "time", "at": "2026-03-01T20:00:00Z"},
    )
    assert (await planner.plan(asked)).steps[:2] == [
        "Stage bundle 000000000000 (98 KiB) on 1 device; nothing changes yet.",
        "Activate all together: d0, at 2026-03-01T20:00:00.000Z.",
    ]


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"group": None}, "invalid_request", 422),
        ({"group": None, "device_ids": []}, "invalid_request", 422),
        ({"device_ids": ["d0"]}, "invalid_request", 422),
        ({"group": "nobody"}, "group_not_found", 404),
        ({"group": None, "device_ids": ["d0", "typo"]}, "device_not_found", 404),
        ({"version": 2}, "bundle_missing", 409),
        ({"overrides": [{"gate": "presence", "reason": "it will be there"}]}, "gate_not_overridable", 422),
    ],
)
async def test_an_invalid_order(planner: Planner, changes: dict[str, Any], code: str, status: int) -> None:
    """It is rejected with what to do, before anything is planned."""
    assert await expect_error(planner, order(**changes)) == (code, status)


async def test_a_revoked_device(planner: Planner, pool: Pool) -> None:
    """By id it is blocked; as a member of a group it is left out."""
    async with pool.acquire() as connection:
        await device_store.set_revoked(connection, ["d0"], NOW)
    assert "d0" not in [device.device_id for device in (await planner.plan(order())).devices]
    plan = await planner.plan(order(group=None, device_ids=["d0"]))
    assert (plan.would_start, plan.devices[0].checks[0].passed) == (False, False)

"""Writing the log of one deployment, many entries in one transaction.

Those who drive the saga write at the same time; what has come in while a transaction was under way goes into
the next one together. The lease's fence is checked in each, and what the entries change elsewhere (outcomes,
expected bundles, locks, facts, signals taken) is written with them: all of it happens, or none.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from k1_contracts import streams
from k1_contracts.messages.device_link import DeviceHello
from k1_deploy import store
from k1_deploy.devices import device_store
from k1_deploy.driving import locks, mailbox
from k1_deploy.driving.facts import facts_of
from k1_deploy.driving.leases import Lease, fenced
from k1_deploy.saga.entries import Became, Controlled, LogEntry
from k1_deploy.saga.state import State
from k1_deploy.saga.transitions import admit
from k1_platform.broker import make_event
from k1_platform.database import Connection, Pool
from k1_platform.outbox import enqueue

Written = Callable[[State, State, Sequence[LogEntry]], None]
"""Told after each commit: the state before, the state after, the entries between."""


class OvertakenError(Exception):
    """The entry is not legal any more: something else was written first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """What one caller wants written together."""

    entries: Sequence[LogEntry]
    hello: DeviceHello | None
    signal_ids: Sequence[int]
    done: "asyncio.Future[None]"


@dataclass(slots=True, eq=False)
class Journal:
    """The log of one deployment, as long as the lease holds."""

    pool: Pool
    lease: Lease
    row: store.DeploymentRow
    state: State
    count: int
    """Entries in the log."""
    on_written: Written
    _waiting: list[_Group] = field(default_factory=list[_Group])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(
        self, *entries: LogEntry, hello: DeviceHello | None = None, signal_ids: Sequence[int] = ()
    ) -> None:
        """Return when the entries are in the log; with `hello`, what the device said it holds.

        Raises:
            OvertakenError: they are not legal any more, and nothing was written.
        """
        group = _Group(entries, hello, signal_ids, asyncio.get_running_loop().create_future())
        self._waiting.append(group)
        self._wake.set()
        await group.done

    async def run(self) -> None:
        """Write what comes in, until cancelled.

        Raises:
            LeaseLostError: another process has taken the deployment; nothing more is written.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            groups = [group for group in self._waiting if not group.done.done()]
            self._waiting.clear()
            if groups:
                await self._commit(groups)

    async def _commit(self, groups: Sequence[_Group]) -> None:
        before = self.state
        after, admitted = admit(before, [group.entries for group in groups])
        written = [group for group, legal in zip(groups, admitted, strict=True) if legal]
        entries = [entry for group in written for entry in group.entries]
        async with self.pool.acquire() as connection, connection.transaction():
            await fenced(connection, self.lease)
            await self._save(connection, before, after, entries)
            await _save_hellos(connection, written)
            await mailbox.drop_signals(connection, [id_ for group in groups for id_ in group.signal_ids])
        self.state, self.count = after, self.count + len(entries)
        self.on_written(before, after, entries)
        for group, legal in zip(groups, admitted, strict=True):
            if not group.done.done():
                group.done.set_result(None) if legal else group.done.set_exception(OvertakenError())

    async def _save(
        self, connection: Connection, before: State, after: State, entries: Sequence[LogEntry]
    ) -> None:
        if not entries:
            return
        id_ = after.deployment_id
        await store.append_entries(connection, id_, self.count, entries)
        await store.save_state(connection, after, self.count + len(entries), entries[-1].at)
        changed = [device for device in after.devices.values() if before.devices[device.id] is not device]
        was = before.devices
        outcomes = {d.id: d.outcome for d in changed if was[d.id].outcome != d.outcome}
        expected = [d.id for d in changed if was[d.id].committed != d.committed and not d.superseded]
        free = [d.id for d in changed if was[d.id].locked and not d.locked]
        if outcomes:
            await store.save_outcomes(connection, id_, outcomes)
        if expected:
            bundles = {device_id: store.expected_bundle(after, device_id) for device_id in expected}
            await device_store.set_expected(connection, bundles)
        if free:
            await locks.unlock(connection, id_, free)
        await self._tell(connection, after, entries)

    async def _tell(self, connection: Connection, after: State, entries: Sequence[LogEntry]) -> None:
        for seq, entry in enumerate(entries, start=self.count + 1):
            if not isinstance(entry, Became | Controlled):
                continue
            for subject, body in facts_of(after, self.row.request, entry.at):
                about = after.deployment_id
                envelope, data = make_event(subject, body, source="deploy", about=about, key=f"{about}/{seq}")
                await enqueue(
                    connection, device_store.SCHEMA, envelope, data, subject=subject, stream=streams.EVENTS
                )


async def _save_hellos(connection: Connection, written: Sequence[_Group]) -> None:
    said = [(group.hello, group.entries[-1].at) for group in written if group.hello and group.entries]
    if said:
        # The earliest of them: what a device says while this is written is newer.
        await device_store.save_hellos(connection, [hello for hello, _ in said], min(at for _, at in said))

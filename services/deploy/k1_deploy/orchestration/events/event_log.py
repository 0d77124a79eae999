"""Writes the event log of one deployment, many entries in one transaction.

The tasks of an executor write at the same time; entries that arrive during a transaction are written together in the
next one. Each transaction checks the lease's fence, and contains all effects of its entries (outcomes, desired states,
locks, events for the outbox, handled signals): all or nothing is stored.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_deploy.devices import device_store
from k1_deploy.orchestration.events.deployment_events import events_of
from k1_deploy.orchestration.storage import deployment_store, device_locks, signal_store
from k1_deploy.orchestration.storage.leases import DeploymentLease, require_fence
from k1_deploy.saga.entries import Controlled, LogEntry, StatusChanged
from k1_deploy.saga.state import State
from k1_deploy.saga.transitions import admit
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool

OnCommit = Callable[[State, State, Sequence[LogEntry]], None]
"""Called after each commit with the state before, the state after and the entries between."""


class WriteConflictError(Exception):
    """The entry is not legal any more, because other entries were written first."""


@dataclass(frozen=True, slots=True, eq=False)
class _WriteRequest:
    """Entries of one caller, which are written together."""

    entries: Sequence[LogEntry]
    hello: DeviceHello | None
    signal_ids: Sequence[int]
    done: "asyncio.Future[None]"


@dataclass(slots=True, eq=False)
class EventLog:
    """The log of one deployment, as long as the lease is valid."""

    pool: Pool
    lease: DeploymentLease
    row: deployment_store.DeploymentRow
    state: State
    count: int
    """The number of entries in the log."""
    on_commit: OnCommit
    _waiting: list[_WriteRequest] = field(default_factory=list[_WriteRequest])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(
        self, *entries: LogEntry, hello: DeviceHello | None = None, signal_ids: Sequence[int] = ()
    ) -> None:
        """Return when the entries are in the log; `hello` of a device is stored with them.

        Raises:
            WriteConflictError: the entries are not legal any more, and nothing was written.
        """
        request = _WriteRequest(entries, hello, signal_ids, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._wake.set()
        await request.done

    async def run(self) -> None:
        """Write the requested entries until cancelled.

        Raises:
            LeaseLostError: another process has taken the deployment; nothing more is written.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            requests = [request for request in self._waiting if not request.done.done()]
            self._waiting.clear()
            if requests:
                await self._commit(requests)

    async def _commit(self, requests: Sequence[_WriteRequest]) -> None:
        before = self.state
        after, admitted = admit(before, [request.entries for request in requests])
        written = [request for request, legal in zip(requests, admitted, strict=True) if legal]
        entries = [entry for request in written for entry in request.entries]
        async with self.pool.acquire() as connection, connection.transaction():
            await require_fence(connection, self.lease)
            await self._save(connection, before, after, entries)
            await _store_hellos(connection, written)
            await signal_store.delete_signals(
                connection, [id_ for request in requests for id_ in request.signal_ids]
            )
        self.state, self.count = after, self.count + len(entries)
        self.on_commit(before, after, entries)
        for request, legal in zip(requests, admitted, strict=True):
            if not request.done.done():
                request.done.set_result(None) if legal else request.done.set_exception(WriteConflictError())

    async def _save(
        self, connection: Connection, before: State, after: State, entries: Sequence[LogEntry]
    ) -> None:
        if not entries:
            return
        id_ = after.deployment_id
        await deployment_store.append_entries(connection, id_, self.count, entries)
        await deployment_store.save_state(connection, after, self.count + len(entries), entries[-1].at)
        changed = [device for device in after.devices.values() if before.devices[device.id] is not device]
        was = before.devices
        outcomes = {d.id: d.outcome for d in changed if was[d.id].outcome != d.outcome}
        expected = [d.id for d in changed if was[d.id].committed != d.committed and not d.superseded]
        free = [d.id for d in changed if was[d.id].locked and not d.locked]
        if outcomes:
            await deployment_store.save_outcomes(connection, id_, outcomes)
        if expected:
            bundles = {
                device_id: deployment_store.expected_bundle(after, device_id) for device_id in expected
            }
            await device_store.set_expected(connection, bundles)
        if free:
            await device_locks.unlock_devices(connection, id_, free)
        await self._enqueue_events(connection, after, entries)

    async def _enqueue_events(
        self, connection: Connection, after: State, entries: Sequence[LogEntry]
    ) -> None:
        for seq, entry in enumerate(entries, start=self.count + 1):
            if not isinstance(entry, StatusChanged | Controlled):
                continue
            for event in events_of(after, self.row.request, entry.at):
                await enqueue(
                    connection,
                    device_store.SCHEMA,
                    event.message,
                    event.body,
                    source="deploy",
                    key=f"{after.deployment_id}/{seq}",
                )


async def _store_hellos(connection: Connection, written: Sequence[_WriteRequest]) -> None:
    stored = [
        (request.hello, request.entries[-1].at) for request in written if request.hello and request.entries
    ]
    if stored:
        # The earliest time: a hello that arrives while this is written is newer.
        await device_store.save_hellos(
            connection, [hello for hello, _ in stored], min(at for _, at in stored)
        )

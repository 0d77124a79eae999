"""Simulates K1 devices on real connections, with faults on request, for tests, benchmarks and `k1 sim`.

`fleet.py` runs many devices in one process; `device.py` and `device_runtime.py` run one. `state_machine` decides
what a device does with each command and what it keeps over a restart; it is pure. `links` connects, `transfers`
downloads bundles, `playback` plays shows, and `faults` injects faults.
"""

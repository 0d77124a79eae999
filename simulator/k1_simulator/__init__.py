"""Simulated K1s: they behave on the bus as devices do, over real connections, with faults on request.

`machine.py` decides what a device does with each command and is pure; `memory.py` is what it keeps over a
restart. Around them `device.py` holds the connection, the disk, the clock and the timers of one device, and
`fleet.py` many devices in one process. What goes wrong on request stands in `faults.py`.
"""

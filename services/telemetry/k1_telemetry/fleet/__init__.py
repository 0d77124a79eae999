"""Tracks the state of all devices: presence, sequence gaps and alarms.

This package is pure. It does no input or output and reads no clock; callers pass the time in.
"""

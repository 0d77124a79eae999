"""Decides what a device does with each command; pure, without connection, disk or clock."""

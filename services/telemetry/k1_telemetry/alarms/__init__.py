"""Alarms as rows: opened, acknowledged, cleared."""

"""Elects the leader, and does its work: presence, alarms, live samples and the counts of each device."""

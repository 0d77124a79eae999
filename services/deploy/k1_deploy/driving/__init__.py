"""Driving deployments: leases, the log, the steps on devices, and putting right what differs."""

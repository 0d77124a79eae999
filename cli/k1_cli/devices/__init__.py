"""Credentials of devices, and the messages that they exchange with the services."""

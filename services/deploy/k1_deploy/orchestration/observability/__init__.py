"""Metrics and traces of deployments."""

"""Checks graph documents against the rules of the K1."""

"""Runs a graph over a song, many frames at a time."""

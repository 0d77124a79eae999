"""Runs a graph over a song and returns the pixels of the strip."""

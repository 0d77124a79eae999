"""Tracks, their versions and artefacts: the tables that every other capability builds on."""

"""Evaluates beat trackers on rendered songs with exact beats and on annotated folders: `python -m benchmarks.beats`."""

"""Evaluates beat trackers on annotated real songs and on generated ones: `python -m benchmarks.beats`."""

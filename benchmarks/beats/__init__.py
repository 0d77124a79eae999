"""How good are the beats? Rendered songs with exact truth, and any annotated folder: `python -m benchmarks.beats`."""

"""Graphs of versions: edits, simulations, reports and signed bundles."""

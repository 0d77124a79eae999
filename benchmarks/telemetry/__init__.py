"""Measures the telemetry store: rates with exact loss counts, the store alone, queries on rollups, and growth."""

"""Measures the live feed of one gateway: idle and busy WebSockets."""

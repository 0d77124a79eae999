"""The K1 graph: catalogue, validator, optimiser, estimator, executor, templates and bundle.

Pure: reads nothing but its own package data, and has no clock and no randomness of its own.
"""

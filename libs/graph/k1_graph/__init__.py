"""Builds, checks and simulates light-show graphs, for analysis, catalogue, simulator and command line.

The package is pure: it reads only its own package data and uses neither a clock nor random numbers.
"""

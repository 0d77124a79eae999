"""Beats that a person sets: each override makes a new version of map, show and bundle."""

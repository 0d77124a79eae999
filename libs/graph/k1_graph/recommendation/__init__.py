"""Chooses and fits a graph for a song."""

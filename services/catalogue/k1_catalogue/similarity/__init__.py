"""Finds songs that sound alike: feature vectors, their table, and the nearest ones."""

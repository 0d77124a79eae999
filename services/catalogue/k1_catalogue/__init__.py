"""The catalogue service: tracks, their versions, the jobs that make them, Genesis maps, graphs and deployments.

`handlers.py` lists every event that the catalogue consumes and every query that it answers. Each folder holds one
capability: its handlers and queries, its rules as pure functions, and its SQL in a module named `store`. The tables
are in the PostgreSQL schema `catalogue`, the maps in the MongoDB collection `genesis_maps`.
"""

"""The catalogue: tracks, their versions, the jobs that make them, and the Genesis maps.

Facts come in on the durable `catalogue` and change PostgreSQL (schema `catalogue`) and MongoDB
(`genesis_maps`); questions come in on `rpc.catalogue.*` and are answered from there.
`handlers.py` is the index: every subject and what handles it. The rules of jobs, versions and
tracks are pure functions in `lifecycle.py`, those of shows in `shows.py`, of deployments in
`deployments.py`; SQL stands in `store.py`, `deployment_store.py`,
`jobs.py`, `listing.py` and `graph_store.py`, MongoDB in `maps.py`, and everything is put together in
`app.py`.
"""

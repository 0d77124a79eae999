"""Deploy: puts bundles on devices by a saga, and knows what every device is, holds and should run.

Facts and commands come in on the durables `deploy` and `deploy-devices` and change PostgreSQL (schema
`deploy`); questions come in on `rpc.deploy.*`; devices are spoken to over the device link (`link.py`).
`handlers.py` is the index: every subject and what handles it. The rules are pure: gates in `gates.py`, the
clocks of devices in `clock.py`, deployments in `saga/`. SQL stands in `device_store.py` and `store.py`, and
everything is put together in `app.py`.
"""

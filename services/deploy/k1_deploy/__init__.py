"""Deploy: puts bundles on devices by a saga, and knows the reported and the desired state of every device.

The service consumes the durables `deploy` and `deploy-devices`, changes PostgreSQL (schema `deploy`), responds to
queries on `rpc.deploy.*`, and sends commands to devices over the device link. `handlers.py` is the index of its
subjects; `app.py` creates and connects its parts:

* `requests`: orders for deployments, plans and queries;
* `orchestration`: the scheduler and executor of deployments, the reconciler, and their tables in `storage`;
* `devices`: the devices' table, link, credentials and presence;
* `saga`: the rules of a deployment, pure;
* `gates.py`: the checks before a deployment, pure.
"""

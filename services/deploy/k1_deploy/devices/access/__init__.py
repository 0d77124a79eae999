"""The access of devices to the bus: issued and revoked credentials, and the connections that use them."""

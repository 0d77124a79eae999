"""Backs up and restores an installation: the bus, the databases, the object store and all keys."""

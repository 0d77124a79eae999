"""Writes and reads bundle.k1b, one signed CBOR file with map, graph and assets. See docs/bundle.md."""

"""bundle.k1b: map, graph and assets in one signed CBOR file that an ESP32-S3 can read. See docs/bundle.md."""

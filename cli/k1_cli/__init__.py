"""The `k1` command line and the stack that it runs on one machine."""

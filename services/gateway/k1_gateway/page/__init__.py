"""Serves the web page: the built bundle of `webapp/`, which lies in `k1_gateway/web`."""

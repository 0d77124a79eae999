"""Puts load on the whole system: many users, two gateways, 100,000 tracks, with sign-in on."""

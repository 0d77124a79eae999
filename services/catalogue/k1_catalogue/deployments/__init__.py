"""Deployments of tracks, and the bundle queries of the deploy service."""

"""Summaries of samples by bucket: computed from a batch, and added to their tables."""

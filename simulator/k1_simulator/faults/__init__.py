"""Describes the faults that devices simulate on request, and injects them."""

"""Beats that a person sets: the rules that they follow and the operations that change them. Pure, shared by services."""

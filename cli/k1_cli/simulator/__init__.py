"""Runs simulated K1s in this process and shows them in the terminal."""

"""Checks that the stores agree with each other, and with what clients were answered, once everything has ended.

Each function yields a text for each case in which what its docstring says is not true.
"""

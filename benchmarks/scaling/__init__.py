"""Measures how analysis scales from no worker to several and back, by the signal and the formula of KEDA."""

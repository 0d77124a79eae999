"""Simulates the playing of a show: its timing, the sensor readings and the device clock."""

"""The steps of a deployment: commands to devices, steps on one device, activation and quality of a batch."""

"""Downloads and stores bundles for a simulated device."""

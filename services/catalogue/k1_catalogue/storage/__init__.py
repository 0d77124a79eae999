"""Which objects of the store are in use, how much they take, and the removal of those that nothing refers to."""

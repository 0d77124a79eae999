"""The store of samples: partitions, batches, rollups."""

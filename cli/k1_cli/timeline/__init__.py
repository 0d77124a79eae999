"""The picture of a deployment: where everything stands (pure), and drawing it."""

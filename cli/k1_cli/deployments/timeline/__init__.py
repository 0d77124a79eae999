"""The picture of a deployment: its layout, which is pure, and its drawing."""

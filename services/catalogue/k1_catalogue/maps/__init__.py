"""Genesis maps: their storage in MongoDB, and slices of them."""

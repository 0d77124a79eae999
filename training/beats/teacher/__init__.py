"""Labels recordings from agreeing evidence, as further examples for the training of the beat network."""

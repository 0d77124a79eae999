"""Fits the weights of the decision about phase and metrical level to annotated songs."""

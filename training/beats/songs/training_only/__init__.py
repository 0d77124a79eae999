"""Styles, sounds and human performances that only the training uses: the evaluation songs stay what they are."""

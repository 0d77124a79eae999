"""Writes the generated documents: `python -m k1_contracts.documents`."""

from k1_contracts.documents.generate import write

write()

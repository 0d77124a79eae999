"""Prints the GraphQL schema, or writes it to the file that is named."""

import sys
from pathlib import Path

from k1_gateway.graphql.schema import SCHEMA

if __name__ == "__main__":
    text = SCHEMA.as_str() + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)

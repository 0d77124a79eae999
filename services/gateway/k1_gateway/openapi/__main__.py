"""`python -m k1_gateway.openapi FILE`: write the OpenAPI document of the API to a file."""

import json
import sys
from pathlib import Path

from k1_gateway.handlers import ENDPOINTS
from k1_gateway.openapi.document import make_document


def main() -> None:
    """Write the document to the file named on the command line."""
    text = json.dumps(make_document(ENDPOINTS), indent=2, ensure_ascii=False)
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

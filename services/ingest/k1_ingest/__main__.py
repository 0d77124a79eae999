"""`python -m k1_ingest`: run ingest."""

from k1_ingest.app import main

if __name__ == "__main__":
    main()

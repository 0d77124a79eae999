"""`python -m k1_ingest`."""

from k1_ingest.app import main

if __name__ == "__main__":
    main()

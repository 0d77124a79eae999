"""Runs the catalogue service as `python -m k1_catalogue`."""

from k1_catalogue.app import main

if __name__ == "__main__":
    main()

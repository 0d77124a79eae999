"""Runs the catalogue: `python -m k1_catalogue`."""

from k1_catalogue.app import wire
from k1_catalogue.settings import CatalogueSettings
from k1_platform.database import TRANSIENT_ERRORS
from k1_platform.service import run_service

if __name__ == "__main__":
    run_service("catalogue", CatalogueSettings(), wire, transient=TRANSIENT_ERRORS)

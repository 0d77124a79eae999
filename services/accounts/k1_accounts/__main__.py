"""`python -m k1_accounts`."""

from k1_accounts.app import wire
from k1_accounts.settings import AccountsSettings
from k1_platform.postgres.pool import TRANSIENT_ERRORS
from k1_platform.service import run_service

if __name__ == "__main__":
    run_service("accounts", AccountsSettings(), wire, transient=TRANSIENT_ERRORS)

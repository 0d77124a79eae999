"""`python -m k1_deploy`."""

from k1_deploy.app import wire
from k1_deploy.settings import DeploySettings
from k1_platform.postgres.pool import TRANSIENT_ERRORS
from k1_platform.service import run_service

if __name__ == "__main__":
    run_service("deploy", DeploySettings(), wire, transient=TRANSIENT_ERRORS)

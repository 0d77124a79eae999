"""The embedded stack: NATS, PostgreSQL, a MongoDB wire server and S3 as child processes, with no Docker.

with EmbeddedStack(Path(".k1")) as stack:
    environment = stack.urls.environment()   # what the services read
"""

from k1_cli.embedded.errors import HomeInUseError, StackError
from k1_cli.embedded.home import Home
from k1_cli.embedded.stack import EmbeddedStack, StackUrls

__all__ = ["EmbeddedStack", "Home", "HomeInUseError", "StackError", "StackUrls"]

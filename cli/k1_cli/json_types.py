"""The type of a JSON object, as the gateway's API and the commands exchange it."""

from typing import Any

JsonObject = dict[str, Any]

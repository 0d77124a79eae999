"""Finds the settings classes of the platform and of all services."""

import importlib
from collections.abc import Iterator

import k1_platform.settings
from k1_platform.settings import Settings
from tests.support.documents.generators import ROOT


def settings_classes() -> Iterator[type[Settings]]:
    """Yield every class that reads environment variables."""
    services = [path.parent.name for path in (ROOT / "services").glob("*/k1_*/settings.py")]
    for module in (k1_platform.settings, *(importlib.import_module(f"{name}.settings") for name in services)):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Settings) and value is not Settings:
                yield value


def variable_of(settings: type[Settings], field: str) -> str:
    """Return the environment variable of a field."""
    alias = settings.model_fields[field].validation_alias
    return str(alias) if alias else f"{settings.model_config.get('env_prefix', '')}{field}".upper()

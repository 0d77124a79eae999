"""The field tables of docs/device-link.md, as the contracts say them: a row a field."""

from typing import Any

from pydantic import BaseModel

NAMED_PATTERNS = {
    r"^[A-Za-z0-9_-]{1,40}$": "device id",
    r"^[0-9a-f]{64}$": "SHA-256",
    r"^trk_[0-9A-HJKMNP-TV-Z]{26}$": "track id",
    r"^dep_[0-9A-HJKMNP-TV-Z]{26}$": "deployment id",
    r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}([-+][0-9A-Za-z.+-]{1,40})?$": "version",
}
"""What the document calls a string of such a pattern; it lists the patterns."""
_MOST_VALUES = 7


def rows(model: type[BaseModel], without: frozenset[str] = frozenset()) -> list[list[str]]:
    """Return field, type and whether it is required, in the order of the model."""
    schema = model.model_json_schema(mode="validation")
    required = set(schema.get("required", ()))
    return [
        [f"`{name}`", type_of(field, schema.get("$defs", {})), "yes" if name in required else "no"]
        for name, field in schema["properties"].items()
        if name not in without
    ]


def type_of(field: dict[str, Any], defs: dict[str, Any]) -> str:  # noqa: PLR0911  a case each
    """Return a JSON Schema in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return type_of(defs[name], defs) if "enum" in defs[name] else name
    if "anyOf" in field:
        return " or ".join(type_of(one, defs) for one in field["anyOf"] if one.get("type") != "null")
    if "enum" in field:
        values = [f"`{value}`" for value in field["enum"]]
        return " ".join(values) if len(values) <= _MOST_VALUES else "one of the codes below"
    if field.get("format") == "date-time":
        return "RFC 3339 time"
    if field.get("type") == "array":
        most = f", at most {field['maxItems']:,}" if "maxItems" in field else ""
        return f"list of {type_of(field['items'], defs)}{most}"
    if field.get("type") == "string":
        return NAMED_PATTERNS[field["pattern"]] if "pattern" in field else f"string{_length(field)}"
    return f"{field.get('type', 'any')}{_range(field)}"


def _length(field: dict[str, Any]) -> str:
    least, most = field.get("minLength"), field.get("maxLength")
    if most is None:
        return ""
    return f" of {least} to {most}" if least else f", at most {most}"


def _range(field: dict[str, Any]) -> str:
    least, most, above = field.get("minimum"), field.get("maximum"), field.get("exclusiveMinimum")
    lower = f" above {above:,}" if above is not None else f" from {least:,g}" if least is not None else ""
    return lower + (f" to {most:,.10g}" if most is not None else "")

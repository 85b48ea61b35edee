"""What is wrong with a field of a file, in the words of its reader instead of the validator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here; look for a typing error, or remove it",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_pattern_mismatch": "is not of the right form",
    "string_too_long": "must have at most {max_length} letters",
    "string_too_short": "must have at least {min_length} letters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "path_type": "must be a path",
    "dict_type": "must be a section with settings of its own",
    "model_type": "must be a section with settings of its own",
    "model_attributes_type": "must be a section with settings of its own",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "timezone_aware": "must have its offset to UTC, for example 2026-02-01T20:15:29Z",
    "datetime_parsing": "must be a time such as 2026-02-01T20:15:29Z",
    "datetime_from_date_parsing": "must be a time such as 2026-02-01T20:15:29Z",
    "date_from_datetime_parsing": "must be a day such as 2026-02-01",
    "json_invalid": "is not JSON: {error}",
}


def wrong(error: Mapping[str, Any]) -> str:
    """One wrong field of a pydantic error (`ValidationError.errors()`), without its value, which may be secret.

    For example ``training.epochs must be 1 or more``. What our own checks say stays as they say it.
    """
    field, context = ".".join(map(str, error["loc"])), error.get("ctx", {})
    if error["type"] in _WORDS:
        return f"{field or 'the file'} {_WORDS[error['type']].format_map(context)}"
    words = str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {words}" if field else words

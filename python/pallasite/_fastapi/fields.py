"""Read the parameters of a request: from the path, the query, the headers and the cookies.

FastAPI looks up the names, kinds and defaults of each field anew for each request. A reader knows them from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from pallasite._fastapi.theirs import Undefined, fields, params, utils

__all__ = ["Errors", "Reader", "Values", "absent_value", "field_reader", "is_plain", "validator"]

Values = dict[str, Any]
Errors = list[Any]
# Adds the value of a field to the values, or what is wrong with it to the errors.
Reader = Callable[[Mapping[str, Any], Values, Errors], None]
# Returns a valid value, or adds to the errors and returns None.
Validator = Callable[[Any, Errors], Any]

# Defaults that need no copy for each request.
_IMMUTABLE = (type(None), str, int, float, bool, bytes)


def field_reader(field: Any) -> Reader:
    """Return the reader of one parameter."""
    if not is_plain(field) or utils._get_param_model(field) is not None:
        return _as_fastapi_reads(field)
    ((_, alias),) = utils._get_param_aliases(field)
    if utils.field_annotation_is_sequence(field.field_info.annotation):
        return _list_reader(field, alias)
    return _scalar_reader(field, alias)


def is_plain(field: Any) -> bool:
    """Return True if the field has one name, and is not a document of its own."""
    return (
        type(field) is fields.ModelField
        and len(utils._get_param_aliases(field)) == 1
        and not utils._is_json_field(field)
    )


def validator(field: Any, loc: tuple[str, ...]) -> Validator:
    """Return what validates a value of the field, as its `validate` does. `loc` is where errors say that it was."""
    adapter = field._type_adapter

    def validate(value: Any, errors: Errors) -> Any:
        try:
            return adapter.validator.validate_python(value, from_attributes=True)
        except ValidationError as error:
            errors += fields._regenerate_error_with_loc(errors=error.errors(include_url=False), loc_prefix=loc)
            return None

    return validate


def _as_fastapi_reads(field: Any) -> Reader:
    alone = [field]

    def read(received: Mapping[str, Any], values: Values, errors: Errors) -> None:
        found, wrong = utils.request_params_to_args(alone, received)
        values.update(found)
        errors += wrong

    return read


def _scalar_reader(field: Any, alias: str) -> Reader:
    name, loc = field.name, (field.field_info.in_.value, alias)
    validate, absent = validator(field, loc), absent_value(field, loc)

    def read(received: Mapping[str, Any], values: Values, errors: Errors) -> None:
        value = received.get(alias)
        count = len(errors)
        value = absent(errors) if value is None else validate(value, errors)
        if len(errors) == count:
            values[name] = value

    return read


def _list_reader(field: Any, alias: str) -> Reader:
    name, loc = field.name, (field.field_info.in_.value, alias)
    validate, absent = validator(field, loc), absent_value(field, loc)
    is_repeated = isinstance(field.field_info, params.Query | params.Header)  # paths and cookies have one value

    def read(received: Any, values: Values, errors: Errors) -> None:
        value = received.getlist(alias) if is_repeated else received.get(alias)
        count = len(errors)
        value = validate(value, errors) if value else absent(errors)
        if len(errors) == count:
            values[name] = value

    return read


def absent_value(field: Any, loc: tuple[str, ...]) -> Callable[[Errors], Any]:
    """Return what gives the value of a field that was not sent: its default, unless it is required."""
    info = field.field_info
    if not info.is_required() and info.default_factory is None and not info.validate_default:
        default = info.default
        if type(default) in _IMMUTABLE:
            return lambda errors: default

    def absent(errors: Errors) -> Any:
        value, wrong = utils._validate_value_with_model_field(field=field, value=Undefined, values={}, loc=loc)
        errors += wrong
        return value

    return absent

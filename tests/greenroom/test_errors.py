"""The family of errors, whole: names and statuses are what clients of Backstage branch on."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pytest

import greenroom
import greenroom_catalog
import greenroom_plugins
from greenroom import errors
from greenroom.errors import (
    ConfigError,
    ConflictError,
    GreenroomError,
    InputError,
    NotAllowedError,
    NotFoundError,
    ServiceUnavailableError,
    describe,
    to_wire,
)

STATUSES = {
    "NotModifiedError": 304,
    "InputError": 400,
    "AuthenticationError": 401,
    "NotAllowedError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "NotImplementedError": 501,
    "ServiceUnavailableError": 503,
}
"""getStatusCode of backend-defaults 0.18 (rootHttpRouter/http/MiddlewareFactory); any other name is 500 there."""


def descendants(error: type[GreenroomError]) -> Iterator[type[GreenroomError]]:
    yield error
    for child in error.__subclasses__():
        yield from descendants(child)


def every_error() -> list[type[GreenroomError]]:
    for package in (greenroom, greenroom_catalog, greenroom_plugins):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    ours = ("greenroom.", "greenroom_")
    return [error for error in dict.fromkeys(descendants(GreenroomError)) if error.__module__.startswith(ours)]


ERRORS = every_error()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_of_upstreams_name_has_upstreams_status(error: type[GreenroomError]) -> None:
    assert 300 <= error.status <= 599
    if error.name in STATUSES:
        assert error.status == STATUSES[error.name]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_errors_docstring_is_fit_to_be_its_message(error: type[GreenroomError]) -> None:
    doc = error.__dict__.get("__doc__")
    assert doc is not None, "an inherited docstring would say something else"
    assert "\n" not in doc
    assert not doc.endswith(".")
    assert doc or error is NotAllowedError, "upstream's has none"


def test_errors_without_a_message_say_their_docstring() -> None:
    assert ConflictError().message == "The request conflicts with what is already there"
    assert NotAllowedError().message == ""
    assert str(NotFoundError("no such entity")) == "no such entity"


def test_the_drawing_of_the_family_is_true() -> None:
    drawn = dict(re.findall(r"(\w+Error) +(\d{3}|\(stops)", errors.__doc__ or ""))
    real = {error.__name__: error for error in ERRORS if error.__module__ == errors.__name__}
    assert set(drawn) == set(real)
    assert {name: drawn[name] for name in drawn if drawn[name].isdigit()} == {
        name: str(error.status) for name, error in real.items() if name != "ConfigError"
    }


def test_every_error_of_the_contract_is_an_exception_that_can_be_pickled_by_message() -> None:
    for _, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, GreenroomError) and error is not ConfigError:
            assert error("why").args == ("why",)


def test_a_cause_is_told_in_the_message_and_beside_it() -> None:
    error = InputError("Processor X threw", cause=NotFoundError("gone", cause=ValueError("bad")))
    assert error.message == "Processor X threw; caused by NotFoundError: gone; caused by ValueError: bad"
    assert to_wire(error) == {
        "name": "InputError",
        "message": error.message,
        "cause": {
            "name": "NotFoundError",
            "message": "gone; caused by ValueError: bad",
            "cause": {"name": "ValueError", "message": "bad"},
        },
    }


def test_an_error_that_is_only_raised_from_another_does_not_tell_clients_of_it() -> None:
    try:
        raise ServiceUnavailableError("The database is not available") from OSError("connect to db.internal:5432")
    except ServiceUnavailableError as error:
        wire = to_wire(error)
    assert wire == {"name": "ServiceUnavailableError", "message": "The database is not available"}


def test_details_become_members_of_the_error() -> None:
    assert to_wire(ConflictError("taken", details={"existing": "a"})) == {
        "name": "ConflictError",
        "message": "taken",
        "existing": "a",
    }


def test_a_config_error_says_where_what_and_how_to_mend_it() -> None:
    error = ConfigError("backend.listen", "not a port", value="x", hint="such as 7007", file="app-config.yaml")
    assert error.message == "app-config.yaml: backend.listen: not a port, found 'x' (such as 7007)"
    assert ConfigError("backend", "missing").message == "backend: missing"
    assert describe(error).startswith("InputError: app-config.yaml")

"""The family of errors: each carries Backstage's name and HTTP status, and its docstring is its default message.

    GreenroomError                  500
    ├── InputError                  400
    │   └── ConfigError             (stops the start)
    ├── AuthenticationError         401
    ├── NotAllowedError             403
    ├── NotFoundError               404
    ├── ConflictError               409
    ├── NotModifiedError            304
    ├── UnsupportedOperationError   501 (named NotImplementedError on the wire)
    └── ServiceUnavailableError     503

Names and statuses are those of upstream's error middleware (backend-defaults, MiddlewareFactory).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class GreenroomError(Exception):
    """Something went wrong inside the server"""

    name: ClassVar[str] = "Error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        cause: BaseException | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """A `cause` is appended to the message as upstream does; `details` are extra members of the envelope's `error`;
        `retry_after` are the seconds after which the same may go well, where a server said so.

        What is only raised `from` another error keeps that for the log: its text may name hosts or quote statements."""
        text = message if message is not None else (type(self).__doc__ or "").strip()
        self.message = f"{text}; caused by {describe(cause)}" if cause is not None else text
        self.cause = cause
        self.details = dict(details or {})
        self.retry_after = retry_after
        super().__init__(self.message)
        self.__cause__ = cause


class InputError(GreenroomError):
    """The request is not valid"""

    name = "InputError"
    status = 400


class ConfigError(InputError):
    """The configuration is not valid"""

    def __init__(self, path: str, problem: str, *, value: object = None, hint: str = "", file: str = "") -> None:
        """`path` is dotted (`backend.listen.port`), `file` the layer it came from; secrets must not be passed as `value`."""
        self.path, self.problem, self.value, self.hint, self.file = path, problem, value, hint, file
        where = f"{file}: " if file else ""
        found = f", found {value!r}" if value is not None else ""
        super().__init__(f"{where}{path}: {problem}{found}{f' ({hint})' if hint else ''}")


class AuthenticationError(GreenroomError):
    """Missing credentials"""

    name = "AuthenticationError"
    status = 401


class NotAllowedError(GreenroomError):
    """"""

    name = "NotAllowedError"
    status = 403


class NotFoundError(GreenroomError):
    """Not found"""

    name = "NotFoundError"
    status = 404


class ConflictError(GreenroomError):
    """The request conflicts with what is already there"""

    name = "ConflictError"
    status = 409


class NotModifiedError(GreenroomError):
    """Not modified"""

    name = "NotModifiedError"
    status = 304


class UnsupportedOperationError(GreenroomError):
    """Not implemented"""

    name = "NotImplementedError"
    status = 501


class ServiceUnavailableError(GreenroomError):
    """The service is not available"""

    name = "ServiceUnavailableError"
    status = 503


def error_name(error: BaseException) -> str:
    """The name an error goes by on the wire: its Backstage name, or the class name of a foreign one."""
    return error.name if isinstance(error, GreenroomError) else type(error).__name__


def describe(error: BaseException) -> str:
    """`NotFoundError: no such file`, the form in which one error is quoted inside another's message."""
    return f"{error_name(error)}: {error.message if isinstance(error, GreenroomError) else error}"


def to_wire(error: BaseException) -> dict[str, Any]:
    """The `error` member of the envelope and of `status.items[]`: name, message, details, and told causes, without stacks."""
    message = error.message if isinstance(error, GreenroomError) else str(error)
    wire: dict[str, Any] = {"name": error_name(error), "message": message}
    if isinstance(error, GreenroomError):
        wire.update(error.details)
        if error.cause is not None:
            wire["cause"] = to_wire(error.cause)
    return wire

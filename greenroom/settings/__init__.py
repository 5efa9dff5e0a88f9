"""app-config.yaml -> typed settings: files and environment in layers, read as Backstage reads them."""

from greenroom.settings.backend import (
    AccessRestriction,
    AllowedHost,
    AuthConfig,
    BackendConfig,
    Connection,
    Cors,
    DatabaseConfig,
    Discreet,
    ExternalAccess,
    HealthConfig,
    LifecycleConfig,
    Listen,
    PermissionAttribute,
    PluginRateLimit,
    RateLimit,
    ReadingConfig,
    Referrer,
    StaticToken,
    Tls,
)
from greenroom.settings.config import AppConfig, default_paths, load
from greenroom.settings.durations import parse_duration
from greenroom.settings.permission import PermissionConfig
from greenroom.settings.redaction import SECRET, hide_in_text
from greenroom.settings.sections import Cautious, FieldError, FromShorthand, MaybeEmpty, Strings, not_yet

__all__ = [
    "SECRET",
    "AccessRestriction",
    "AllowedHost",
    "AppConfig",
    "AuthConfig",
    "BackendConfig",
    "Cautious",
    "Connection",
    "Cors",
    "DatabaseConfig",
    "Discreet",
    "ExternalAccess",
    "FieldError",
    "FromShorthand",
    "HealthConfig",
    "LifecycleConfig",
    "Listen",
    "MaybeEmpty",
    "PermissionAttribute",
    "PermissionConfig",
    "PluginRateLimit",
    "RateLimit",
    "ReadingConfig",
    "Referrer",
    "StaticToken",
    "Strings",
    "Tls",
    "default_paths",
    "hide_in_text",
    "load",
    "not_yet",
    "parse_duration",
]

"""The district's settings: config/syncd.yaml and mappings/*.yaml in, one frozen Config out, or every problem at once."""

from __future__ import annotations

from syncd.settings.cross_check import extra_fields
from syncd.settings.loading import check, load
from syncd.settings.model import (
    Approvals,
    Config,
    Control,
    DeviceSettings,
    District,
    Email,
    Health,
    Notify,
    Pipeline,
    Retention,
    SourceSettings,
    TargetSettings,
    Webhook,
    parsed_address,
)
from syncd.settings.schema import json_schemas, write_schemas
from syncd.settings.starting import write_starting_set

__all__ = [
    "Approvals",
    "Config",
    "Control",
    "DeviceSettings",
    "District",
    "Email",
    "Health",
    "Notify",
    "Pipeline",
    "Retention",
    "SourceSettings",
    "TargetSettings",
    "Webhook",
    "check",
    "extra_fields",
    "json_schemas",
    "load",
    "parsed_address",
    "write_schemas",
    "write_starting_set",
]

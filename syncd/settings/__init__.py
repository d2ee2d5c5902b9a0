"""The district's settings: config/syncd.yaml and mappings/*.yaml in, one frozen Config out, or every problem at once."""

from __future__ import annotations

from syncd.settings.addresses import parsed_address
from syncd.settings.cross_check import extra_fields
from syncd.settings.loading import check, load, load_portal
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
)
from syncd.settings.portal import Claims, ClaimTarget, Place, PortalFile, Proofs, Said, Web
from syncd.settings.schema import json_schemas, write_schemas
from syncd.settings.starting import write_starting_set

__all__ = [
    "Approvals",
    "ClaimTarget",
    "Claims",
    "Config",
    "Control",
    "DeviceSettings",
    "District",
    "Email",
    "Health",
    "Notify",
    "Pipeline",
    "Place",
    "PortalFile",
    "Proofs",
    "Retention",
    "Said",
    "SourceSettings",
    "TargetSettings",
    "Web",
    "Webhook",
    "check",
    "extra_fields",
    "json_schemas",
    "load",
    "load_portal",
    "parsed_address",
    "write_schemas",
    "write_starting_set",
]

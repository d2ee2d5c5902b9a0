"""A double of Google Workspace on loopback, built from Google's own discovery documents; see `double.GoogleDouble`."""

from tests.doubles.google.clock import Clock, SimulatedClock, SystemClock
from tests.doubles.google.double import SCOPES, GoogleDouble
from tests.doubles.google.journal import Call, Journal
from tests.doubles.google.quirks import Quirks
from tests.doubles.google.refusals import Refusal

__all__ = ["SCOPES", "Call", "Clock", "GoogleDouble", "Journal", "Quirks", "Refusal", "SimulatedClock", "SystemClock"]

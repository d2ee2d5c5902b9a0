"""Days and moments as Active Directory keeps them: 100 nanoseconds since the beginning of 1601 ([MS-DTYP] 2.3.3, FILETIME).

`accountExpires` is one of them ([MS-ADA1] 2.1): the moment from which on nobody signs in. A mapping speaks of days: the last on
which the account can be used, which ends at midnight in the district's time zone, as Microsoft's own tools show and set it. Another
moment, set by somebody else, is told to the last digit: it is never taken for what it is not, and is written back the same.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_BEGIN = datetime(1601, 1, 1, tzinfo=UTC)
_SECOND = 10_000_000
_NEVER = frozenset({0, 0x7FFFFFFFFFFFFFFF})  # both: [MS-ADA1] 2.1
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{7})Z")
NEVER = "0"
"""As it is written where an account does not expire."""


def told(value: str, zone: ZoneInfo) -> str:
    """A file time as a mapping spells it: a day, a moment, or nothing for never. What is no file time stays as it is."""
    if not value.isascii() or not value.isdecimal():
        return value
    number = int(value)
    if number in _NEVER:
        return ""
    try:
        moment = _BEGIN + timedelta(seconds=number // _SECOND)
        day = (moment.astimezone(zone) - timedelta(hours=12)).date()  # the day that ended, if this is a midnight
        if number == _end_of(day, zone):
            return day.isoformat()
    except OverflowError:
        return value  # beyond the year 9999
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{number % _SECOND:07d}Z"


def file_time(value: str, zone: ZoneInfo) -> str:
    """The file time of a day or a moment as told() spells them. Raises ValueError for text that is neither."""
    if moment := _MOMENT.fullmatch(value):
        at = datetime.fromisoformat(f"{moment[1]}+00:00")
        return str((at - _BEGIN) // timedelta(seconds=1) * _SECOND + int(moment[2]))
    if _DAY.fullmatch(value):
        return str(_end_of(date.fromisoformat(value), zone))
    if value.isascii() and value.isdecimal():
        return value
    raise ValueError(f"{value!r} is not a day such as 2027-05-28")


def _end_of(day: date, zone: ZoneInfo) -> int:
    after = day + timedelta(days=1)
    midnight = datetime(after.year, after.month, after.day, tzinfo=zone)
    return (midnight - _BEGIN) // timedelta(seconds=1) * _SECOND

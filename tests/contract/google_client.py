"""Google's own client, pointed at the double."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from tests.doubles.google import SCOPES, GoogleDouble

Body = dict[str, Any]


def credentials(google: GoogleDouble, *, scopes: Iterable[str] = SCOPES, subject: str = "", key: str = "key-1") -> Any:
    """A robot's credentials, acting for an administrator."""
    told = google.key_file(key)
    return service_account.Credentials.from_service_account_info(told, scopes=list(scopes), subject=subject or google.admin)  # type: ignore[no-untyped-call]  # google-auth tells half its types


@contextmanager
def client(google: GoogleDouble, name: str = "admin.directory_v1", **how: Any) -> Iterator[Any]:
    """Google's client of one interface, with a token: one it fetches for a batch it would never close the connection of."""
    granted = credentials(google, **how)
    fetching = Request()
    granted.refresh(fetching)
    fetching.session.close()
    made = build_from_document(google.discovery(name), credentials=granted)
    try:
        yield made
    finally:
        made.close()


def refused(call: Any) -> tuple[int, str, str]:
    """Status, reason and message of a call that must be refused."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    (detail,) = caught.value.error_details
    return caught.value.status_code, detail["reason"], detail["message"]


def user(local: str = "ada.byron", domain: str = "district.example", **told: object) -> Body:
    """A user's body that is accepted."""
    name = {"givenName": "Ada", "familyName": "Byron"}
    return {"primaryEmail": f"{local}@{domain}", "name": name, "password": "correct horse", **told}


def pages(list_: Callable[..., Any], key: str, **query: object) -> list[list[Body]]:
    """All pages of a list."""
    found, token = [], None
    while True:
        page = list_(pageToken=token, **query).execute()
        found.append(page.get(key, []))
        token = page.get("nextPageToken")
        if token is None:
            return found

"""The vault: what is sealed opens only where it belongs, tokens compare but do not tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.errors import EndpointError
from syncd.vault import Credentials, Rekeying, Vault, keys_in

KEY = b"k" * 32


def test_what_was_sealed_opens_under_its_own_context_only() -> None:
    """A row moved to another row's place does not open (R38)."""
    vault = Vault(KEY)
    sealed = vault.seal(b"secret", "journal 1")
    assert vault.open(sealed, "journal 1") == b"secret"
    with pytest.raises(EndpointError, match="journal 2"):
        vault.open(sealed, "journal 2")
    with pytest.raises(EndpointError, match="state_key"):
        Vault(b"x" * 32).open(sealed, "journal 1")


def test_a_fact_token_is_bound_to_person_source_fact_and_key() -> None:
    """R23: the same digits of two people do not look alike at rest."""
    vault = Vault(KEY)
    told = {
        vault.fact_token("1234", source="sis", key="1", fact="ssn4"),
        vault.fact_token("1234", source="sis", key="2", fact="ssn4"),
        vault.fact_token("1234", source="hr", key="1", fact="ssn4"),
        vault.fact_token("1234", source="sis", key="1", fact="s_number4"),
        vault.fact_token("4321", source="sis", key="1", fact="ssn4"),
        Vault(b"x" * 32).fact_token("1234", source="sis", key="1", fact="ssn4"),
    }
    assert len(told) == 6
    assert vault.fact_token("1234", source="sis", key="1", fact="ssn4") in told


def test_an_index_token_is_equal_for_equal_values() -> None:
    """R35: two birth dates can be compared without being known."""
    vault = Vault(KEY)
    assert vault.index_token("2012-01-05", fact="birth_date") == vault.index_token("2012-01-05", fact="birth_date")
    assert vault.index_token("2012-01-05", fact="birth_date") != vault.index_token("2012-01-06", fact="birth_date")


def test_a_birth_date_is_kept_comparable_and_opens_for_its_own_person_only() -> None:
    """R23: AEAD with a keyed index; bound to source, source key, field and key; an unchanged row is kept alike."""
    vault = Vault(KEY)
    kept = vault.kept_fact("2012-01-05", source="sis", key="1", fact="birth_date")
    index, sealed = kept.split(" ")
    assert kept == vault.kept_fact("2012-01-05", source="sis", key="1", fact="birth_date")
    assert index == vault.index_token("2012-01-05", fact="birth_date")
    assert "2012" not in kept
    assert vault.open_fact(sealed, source="sis", key="1", fact="birth_date") == "2012-01-05"
    for other in (("hr", "1", "birth_date"), ("sis", "2", "birth_date"), ("sis", "1", "ssn4")):
        with pytest.raises(EndpointError, match="cannot open"):
            vault.open_fact(sealed, source=other[0], key=other[1], fact=other[2])
    for spoilt in (sealed[:-2] + "00", sealed[:20], "", "s1:0:zz", vault.fact_token("1", source="sis", key="1", fact="ssn4")):
        with pytest.raises(EndpointError):
            vault.open_fact(spoilt, source="sis", key="1", fact="birth_date")
    with pytest.raises(EndpointError):
        Vault(b"x" * 32).open_fact(sealed, source="sis", key="1", fact="birth_date")


def test_what_is_enclosed_keeps_its_bytes_and_opens_under_the_newest_key_only() -> None:
    """R24: what the chain committed to stays, through as many rotations as there are; no earlier key opens it."""
    first = Vault(KEY)
    sealed = first.seal(b"image", "journal 1")
    keys = Rekeying.between(first, Vault(b"y" * 32))
    once = keys.enclosed(sealed, "journal 1")
    again = Rekeying.between(keys.new, Vault(b"z" * 32))
    twice, own = again.enclosed(once, "journal 1"), again.enclosed(keys.new.seal(b"later", "journal 2"), "journal 2")
    assert again.new.enclosed(twice, "journal 1") == (first.key_id, sealed)
    assert (again.new.open(twice, "journal 1"), again.new.open(own, "journal 2")) == (b"image", b"later")
    assert again.new.enclosed(b"as it was sealed", "any")[1] == b"as it was sealed"
    for vault in (first, keys.new, Vault(b"z" * 32)):  # the last has no heirlooms
        with pytest.raises(EndpointError):
            vault.open(twice, "journal 1")
    with pytest.raises(EndpointError):
        again.new.open(twice, "journal 2")
    with pytest.raises(EndpointError):
        again.new.enclosed(twice[:-1] + bytes([twice[-1] ^ 1]), "journal 1")


def test_a_fact_is_put_under_the_next_key_or_is_nothing() -> None:
    """R23: what opens under the old key is kept under the new one; what does not is lost, and said to be."""
    keys = Rekeying.between(Vault(KEY), Vault(b"y" * 32))
    bound = {"source": "sis", "key": "1", "fact": "birth_date"}
    kept = keys.old.kept_fact("2012-01-05", **bound)
    assert keys.fact(kept, **bound) == Vault(b"y" * 32).kept_fact("2012-01-05", **bound)
    assert keys.fact(kept, **{**bound, "key": "2"}) == keys.fact(keys.old.index_token("2012", fact="birth_date"), **bound) == ""
    assert keys_in([kept, keys.fact(kept, **bound), "?", ""]) == [keys.old.key_id, keys.new.key_id]


def test_a_tombstone_is_asked_for_under_every_key_there_was() -> None:
    """A name that nobody can read any more is known again by whoever asks for it (R9)."""
    first = Vault(KEY)
    last = Rekeying.between(Rekeying.between(first, Vault(b"y" * 32)).new, Vault(b"z" * 32)).new
    tokens = last.index_tokens("agarcia", fact="forgotten name")
    assert len(tokens) == 3
    assert first.index_token("agarcia", fact="forgotten name") in tokens
    assert first.index_tokens("agarcia", fact="f") == {first.index_token("agarcia", fact="f")}


def test_a_key_that_is_too_short_is_refused() -> None:
    """A typed word is no key."""
    with pytest.raises(EndpointError, match="shorter than 32 characters"):
        Vault(b"changeme")


def test_keys_are_not_shown() -> None:
    """A vault in a traceback or log tells nothing."""
    assert "k" * 8 not in repr(Vault(KEY))


def test_a_credential_is_read_from_systemds_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LoadCredential= wins over the configured folder."""
    (tmp_path / "own").mkdir()
    (tmp_path / "systemd").mkdir()
    (tmp_path / "own" / "bind").write_text("one\n")
    (tmp_path / "own" / "bind").chmod(0o600)
    credentials = Credentials(tmp_path / "own")
    assert credentials.read("bind") == b"one"
    (tmp_path / "systemd" / "bind").write_text("two\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "systemd"))
    assert credentials.read("bind") == b"two"


def test_a_missing_or_empty_credential_names_the_file(tmp_path: Path) -> None:
    """What, which, why, what to do."""
    with pytest.raises(EndpointError, match=r"credential bind: cannot read .*bind"):
        Credentials(tmp_path).read("bind")
    (tmp_path / "bind").write_text("\n")
    (tmp_path / "bind").chmod(0o600)
    with pytest.raises(EndpointError, match="is empty"):
        Credentials(tmp_path).read("bind")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_credential_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A secret that a group or everybody reads is none: the file is named, and what to do; what is in it is not told."""
    (tmp_path / "bind").write_text("geheim")
    (tmp_path / "bind").chmod(mode)
    with pytest.raises(EndpointError, match=r"bind can be .* by others .*chmod 600 .*bind") as raised:
        Credentials(tmp_path).read("bind")
    assert "geheim" not in str(raised.value)
    (tmp_path / "bind").chmod(0o400)
    assert Credentials(tmp_path).read("bind") == b"geheim"

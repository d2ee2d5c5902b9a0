"""The starting set: commented, complete, identical wherever it lies, and safe to write."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from syncd import settings
from syncd.core.calendar import Calendar
from syncd.core.mapping_spec import PeopleSpec, TargetSpec
from syncd.core.model import TargetName
from syncd.errors import ConfigError
from syncd.settings.document import Entries, Items, Tree, read
from syncd.settings.keys import Key, branches, is_list, is_mapping, is_settings, keys_of
from syncd.settings.model import SyncdFile
from syncd.settings.starting import FILES, Answer, starting_text

ROOT = Path(__file__).parents[2]


def test_the_files_of_the_repository_are_the_files_that_are_shipped() -> None:
    """config/ and mappings/ show exactly what `syncd init` writes."""
    for file in FILES:
        assert (ROOT / file).read_text(encoding="utf-8") == starting_text(file)


def test_the_files_are_package_data() -> None:
    """An installed syncd finds them without a checkout."""
    assert all((resources.files("syncd.starting") / file).is_file() for file in FILES)


def test_single_values_are_replaced_and_every_comment_stays(tmp_path: Path) -> None:
    """What is answered at `syncd init` is in the file; nothing else of it changes."""
    answers: dict[str, dict[str, Answer]] = {
        "config/syncd.yaml": {
            "district.name": 'Rio "Grande": ISD',
            "sources.sis.shape.floor": 40,
            "targets.ldap.urls": ["ldaps://one.example.org", "ldaps://two.example.org"],
        },
        "mappings/people.yaml": {"config.staff_domain": "rio.example.org"},
    }
    settings.write_starting_set(tmp_path, answers)
    config = settings.load(tmp_path)
    assert config.district.name == 'Rio "Grande": ISD'
    assert config.people.config["staff_domain"] == "rio.example.org"
    changed = [
        (old, new)
        for file in FILES
        for old, new in zip(
            starting_text(file).splitlines(), (tmp_path / file).read_text(encoding="utf-8").splitlines(), strict=True
        )
        if old != new
    ]
    assert len(changed) == 4


def test_an_answer_to_a_key_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A caller that mistypes a key hears of it, and nothing is written."""
    with pytest.raises(KeyError, match=r"targets\.ldap\.bse"):
        settings.write_starting_set(tmp_path, {"config/syncd.yaml": {"targets.ldap.bse": "dc=rio"}})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second `syncd init` leaves a district's own files alone and says so."""
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings/people.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        settings.write_starting_set(tmp_path)
    assert "mappings/people.yaml:1:1" in str(caught.value)
    assert not (tmp_path / "config").exists()


def test_every_file_names_its_schema_by_a_relative_path(tmp_path: Path) -> None:
    """Editors find the schema beside the files, without a network."""
    settings.write_starting_set(tmp_path)
    for file in FILES:
        first = (tmp_path / file).read_text(encoding="utf-8").splitlines()[0]
        named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert named
        assert ((tmp_path / file).parent / named[1]).resolve().is_file()


def _settings_keys(hint: object, tree: Tree) -> list[tuple[str, int]]:
    """Every key of ours in the tree (not the district's own names), with its line."""
    found: list[tuple[str, int]] = []
    for part in branches(hint):
        if is_settings(part) and isinstance(tree, Entries):
            known: dict[str, Key] = {key.name: key for key in keys_of(part)}
            for word, (mark, child) in tree.entries.items():
                if word in known:
                    found += [(word, mark.line), *_settings_keys(known[word].hint, child)]
        elif is_mapping(part) and isinstance(tree, Entries):
            found += [each for _, child in tree.entries.values() for each in _settings_keys(part.__args__[1], child)]  # type: ignore[attr-defined]  # a Mapping[…] has arguments
        elif is_list(part) and isinstance(tree, Items):
            found += [each for child in tree.items for each in _settings_keys(part.__args__[0], child)]  # type: ignore[attr-defined]  # as above
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_key_is_explained_where_it_first_stands(file: str) -> None:
    """A comment above the key, or above the group of up to three lines it begins with, says what it is for."""
    document, _ = read(ROOT / file, file)
    assert document is not None
    owners = {"syncd": SyncdFile, "calendar": Calendar, "people": PeopleSpec, "ldap": TargetSpec}
    owner = owners[Path(file).stem]
    lines = document.text.splitlines()
    first: dict[str, int] = {}
    for word, line in _settings_keys(owner, document.tree):
        first.setdefault(word, line)
    unexplained = [
        f"{word} (line {line})"
        for word, line in first.items()
        if not any(lines[at].lstrip().startswith("#") for at in range(max(line - 4, 0), line))
    ]
    assert unexplained == []


def test_prek_has_no_mailbox_and_k_to_2_mail_inside_only() -> None:
    """The shipped rules for young children hold for every grade, as the golden people show for three."""
    table = settings.load(ROOT).people.tables["student_domain"]
    assert "PK" not in table
    assert {str(table[grade]).split(".")[0] for grade in ("KG", "01", "02")} == {"internal"}
    assert {str(table[f"{grade:02d}"]).split(".")[0] for grade in range(3, 13)} == {"students"}


def test_guardians_are_a_population_without_accounts() -> None:
    """They are known, and no target has an account for them."""
    config = settings.load(ROOT)
    assert "guardians" in config.people.populations
    assert "guardians" not in config.mappings[TargetName("ldap")].accounts

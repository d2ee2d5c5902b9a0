"""Loading a folder of settings: everything wrong in every file is told at once, and what loads is complete and absolute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from syncd import settings
from syncd.core.guard import Limit
from syncd.core.model import SourceName, TargetName
from syncd.errors import ConfigError
from syncd.settings.keys import keys_of
from syncd.settings.model import SourceSettings, TargetSettings
from syncd.settings.schema import kinds_of

SYNCD, PEOPLE, LDAP = "config/syncd.yaml", "mappings/people.yaml", "mappings/ldap.yaml"
SIS, DIRECTORY = SourceName("sis"), TargetName("ldap")

Edit = Callable[[str, str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A district's folder as `syncd init` writes it."""
    settings.write_starting_set(tmp_path)
    return tmp_path


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replaces one text that occurs in a file of the folder."""

    def replace(file: str, old: str, new: str) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace


def _problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings.load(folder)
    return [str(problem) for problem in caught.value.problems]


def _line(folder: Path, file: str, text: str) -> int:
    lines = (folder / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


# --- what loads -------------------------------------------------------------------------------------------------------


def test_the_starting_set_loads(folder: Path) -> None:
    """A district begins with files that are valid as they stand."""
    config = settings.load(folder)
    assert list(config.sources) == ["sis"]
    assert list(config.targets) == ["ldap"]
    assert config.pipelines["main"].targets == ("ldap",)
    assert set(config.mappings[DIRECTORY].accounts) == {"students", "staff"}


def test_paths_are_relative_to_the_folder_and_become_absolute(folder: Path, edit: Edit) -> None:
    """It does not matter from where the program is started."""
    edit(SYNCD, 'ca_file: ""', 'ca_file: "tls/ca.pem"')
    config = settings.load(folder)
    assert config.folder == folder
    assert config.state == folder / "state"
    assert config.store == f"sqlite:///{folder}/state/syncd.db"
    assert config.credentials.folder == folder / "credentials"
    source, target = config.sources[SIS].options, config.targets[DIRECTORY].options
    assert getattr(source, "path") == folder / "roster/oneroster.zip"  # noqa: B009 — the type belongs to the source
    assert getattr(source, "supplements")[0].path == folder / "roster/claim_facts.csv"  # noqa: B009 — as above
    assert getattr(target, "ca_file") == str(folder / "tls/ca.pem")  # noqa: B009 — as above


def test_a_relative_sqlite_address_is_relative_to_the_folder(folder: Path, edit: Edit) -> None:
    """As every other path in the file."""
    edit(SYNCD, 'store: ""', 'store: "sqlite:///state/other.db"')
    assert settings.load(folder).store == f"sqlite:///{folder}/state/other.db"


def test_a_limit_that_leaves_a_key_out_keeps_that_operations_own_default(folder: Path, edit: Edit) -> None:
    """Setting a percentage never lifts the absolute limit by accident."""
    edit(SYNCD, "disable: { percent: 3, absolute: 500, campus_percent: 5 }", "disable: { percent: 4 }")
    limits = settings.load(folder).targets[DIRECTORY].limits
    assert limits.disable == Limit(percent=4, absolute=500, campus_percent=5)


def test_durations_become_days(folder: Path) -> None:
    """What reads `90 days` is the number 90."""
    assert settings.load(folder).retention.before_images == 90


def test_a_memory_targets_file_is_relative_to_the_folder_and_need_not_exist(folder: Path) -> None:
    """It is written, not read, so its absence is no problem."""
    text = (folder / SYNCD).read_text(encoding="utf-8")
    begin, end = text.index("    kind: ldap\n"), text.index("    # How much may change")
    (folder / SYNCD).write_text(text[:begin] + "    kind: memory\n    path: directory.json\n" + text[end:], encoding="utf-8")
    config = settings.load(folder)
    assert getattr(config.targets[DIRECTORY].options, "path") == str(folder / "directory.json")  # noqa: B009 — the type is memory's own
    assert not any("directory.json" in str(problem) for problem in settings.check(config))


def test_the_order_of_sources_is_kept(folder: Path, edit: Edit) -> None:
    """Order is authority, so it must be the order of the file."""
    edit(SYNCD, "sources:\n", "sources:\n  zz_first:\n    kind: oneroster_csv\n    path: other.zip\n")
    assert list(settings.load(folder).sources) == ["zz_first", "sis"]


# --- what does not ----------------------------------------------------------------------------------------------------


def test_problems_of_all_files_and_of_all_kinds_are_reported_at_once_and_sorted(folder: Path, edit: Edit) -> None:
    """Whoever edits settings learns everything in one go: YAML, schema, references and mappings."""
    edit(SYNCD, "timezone: ", "timezon: ")
    edit(SYNCD, "error_budget: 25", "error_budget: many")
    edit(PEOPLE, "on_rename: propose", "on_rename: prepose")
    edit(LDAP, "target: ldap", "target: ldapp")
    problems = _problems(folder)
    assert problems == sorted(problems, key=lambda text: (text.split(":")[0], int(text.split(":")[1])))
    at = _line(folder, SYNCD, "timezon:")
    assert f"{SYNCD}:{at}:3: unknown key 'timezon' in district; did you mean 'timezone'?" in problems
    assert any("the key 'timezone' is missing in district: time zone, such as" in problem for problem in problems)
    assert any("targets.ldap.error_budget: expected a whole number, found the text many" in problem for problem in problems)
    assert any("'prepose' is not one of keep, propose, automatic; did you mean 'propose'?" in problem for problem in problems)
    assert any("this file is called ldap.yaml, but its target is 'ldapp'" in problem for problem in problems)


def test_a_mistake_in_one_block_hides_none_elsewhere(folder: Path, edit: Edit) -> None:
    """References between blocks and the mappings are judged even where another block cannot be read."""
    edit(SYNCD, "timezone: ", "timezon: ")
    edit(SYNCD, "kind: oneroster_csv", "kind: oneroster")
    edit(SYNCD, "targets: [ldap]", "targets: [ldao]")
    edit(LDAP, "sn: display_family", "sn: display_famly")
    problems = _problems(folder)
    assert any("no target 'ldao'" in problem for problem in problems)
    assert any("did you mean 'display_family'?" in problem for problem in problems)
    assert len(problems) == 5


@pytest.mark.parametrize(
    "edits",
    [
        [(PEOPLE, "\"'parent' in roles", "\"'parent' in rolls")],  # what people.yaml computes
        [(PEOPLE, "max_length: 20", "max_lenght: 20")],  # how it is written
        [(PEOPLE, '"KG": ', '"KG": 5\n    "KX": ')],  # a table
        [(PEOPLE, "staff_domain: ", "staff_domain: [x]\n  other: ")],  # a value
        [(PEOPLE, "    when: \"'student' in roles", "    wen: \"'student' in roles")],  # a population
        [(LDAP, "policy: initial", "polcy: initial")],  # the mapping itself
        [(LDAP, "{ person: manager }", "{ persn: manager }")],
        [(LDAP, "    password:\n", "    pasword:\n")],
    ],
)
def test_a_mistake_hides_none_in_the_same_file_or_the_next(folder: Path, edit: Edit, edits: list[tuple[str, str, str]]) -> None:
    """A misspelled field is told beside whatever else is wrong, and nothing is told that is right."""
    for file, old, new in edits:
        edit(file, old, new)
    alone = _problems(folder)
    assert alone
    edit(LDAP, "sn: display_family", "sn: display_famly")
    edit(PEOPLE, "\"'teacher' in roles", "\"'teacher' in rols")
    (field,) = set(_problems(folder)) - set(alone) - {each for each in _problems(folder) if "'rols'" in each}
    assert "no field 'display_famly'; did you mean 'display_family'?" in field


def test_two_mistakes_of_people_are_told_at_once(folder: Path, edit: Edit) -> None:
    """A misspelled key does not hide a misspelled field of the same file."""
    edit(PEOPLE, "max_length: 20", "max_lenght: 20")
    edit(PEOPLE, "\"'student' in roles", "\"'student' in rolls")
    edit(PEOPLE, '"ou=Disabled"', '"Disabled"')
    problems = _problems(folder)
    assert [word for word in ("max_lenght", "rolls", "Disabled") if not any(word in each for each in problems)] == []
    assert len(problems) == 3


@pytest.mark.parametrize(
    "place",
    [
        "{{ campus.code | lookup('places') }}",
        "ou={{ grade }},{{ campus.code | lookup('places') }},{{ config.top }}",
        "{{ config.top }}",
        "OU={{ family }}+L={{ campus.name }},OU=A\\\\, B",
    ],
)
def test_a_place_that_is_only_known_for_a_person_loads(folder: Path, edit: Edit, place: str) -> None:
    """A table or value of the district may hold whole steps; only what can be right for nobody is a mistake."""
    edit(PEOPLE, "tables:\n", 'tables:\n  places: { "012": "ou=North" }\n')
    edit(PEOPLE, "config:\n", 'config:\n  top: "ou=Schools"\n')
    edit(LDAP, "ou=Grade {{ grade | default('none') }},ou={{ campus.code }},ou=Students", place)
    settings.load(folder)


def test_a_column_of_the_districts_own_may_be_read_once_a_source_tells_it(folder: Path, edit: Edit) -> None:
    """`extra.bus` is known from the settings of the source, and unknown without them."""
    edit(LDAP, "departmentNumber: campus.code", "departmentNumber: extra.bus")
    assert any("extra.bus" in problem for problem in _problems(folder))
    edit(SYNCD, "    headers: lenient\n", "    headers: lenient\n    metadata: { extra.bus: metadata.bus }\n")
    settings.load(folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (SYNCD, "sources: [sis]", "sources: [siss]", "no source 'siss'; did you mean 'sis'?"),
        (SYNCD, "targets: [ldap]", "targets: [ldao]", "no target 'ldao'; did you mean 'ldap'?"),
        (SYNCD, "targets: [ldap]", "targets: [ldap, ldap]", "'ldap' stands twice"),
        (SYNCD, "sources: [sis]", "sources: []", "the pipeline 'main' has no sources"),
        (SYNCD, "sources: [sis]", "sources: sis", "pipelines.main.sources: expected a list: [one, two], found the text sis"),
        (
            SYNCD,
            "kind: oneroster_csv",
            "kind: onerostercsv",
            "no kind of source is called 'onerostercsv'; did you mean 'oneroster_csv'?",
        ),
        (SYNCD, "    kind: ldap\n", "    kind: 5\n", "targets.ldap.kind: expected text, found the number 5; put it in quotes"),
        (SYNCD, "    kind: ldap\n", "", "the key 'kind' is missing in targets.ldap"),
        (SYNCD, '"America/Chicago"', '"America/Dallas"', "no time zone is called 'America/Dallas'"),
        (SYNCD, '"Lone Star Charter Network"', "1836", 'expected text, found the number 1836; put it in quotes: "1836"'),
        (SYNCD, "display: legal", "display:", ""),
        (SYNCD, "display: legal", "display: prefered", "did you mean 'preferred'?"),
        (SYNCD, "stale_after: 3 days", "stale_after: 3", "expected a time in days, written like `14 days`, found the number 3"),
        (SYNCD, "  spools: 30 days\n", "", "the key 'spools' is missing in retention"),
        (SYNCD, "  spools: 30 days\n", "  spools: 0 days\n", "must be at least `1 days`"),
        (SYNCD, "floor: 100", "floor: 0", "an empty roster is never believed"),
        (SYNCD, "percent: 20", "percent: -1", "must be 0 or more"),
        (SYNCD, 'store: ""', 'store: "postgresql://syncd:secret@db/syncd"', "a password stands in the address of the store"),
        (SYNCD, "  main:\n", "  ../main:\n", "'../main' cannot be a name here"),
        (SYNCD, "stale_after", "match_on: [student_nmber]\n    stale_after", "no field 'student_nmber' to match on; did you mean"),
        (SYNCD, "directory_optout: directory_optout", "directory_optot: directory_optout", "no field 'directory_optot'"),
        (SYNCD, "ldaps://ldap.", "ldap://ldap.", "would send the password in clear"),
        (SYNCD, "    ca_file:", "\tca_file:", "use spaces"),
        (SYNCD, "spools: 30 days", "spools: 99999999999 days", "retention.spools: at most 36500 days"),
        (SYNCD, "percent: 20", "percent: 1e400", "expected a number, found the text 1e400"),
        (PEOPLE, "days: 10", "days: 99999999999", "must be from 0 to 36500"),
        (PEOPLE, "snapshots: 3", "snapshots: 2", "must be at least 3: one bad roster proves nothing"),
        (PEOPLE, '"ou=Disabled"', '"Disabled"', "'Disabled' is no place in a directory: write `type=value`"),
        (SYNCD, "    error_budget: 25", '    may_be_empty: ["ou=A", "B"]\n    error_budget: 25', "'B' is no place in a directory"),
        (PEOPLE, "unique_in: [uid]", 'unique_in: [uid, "user name"]', "unique_in: 'user name' is not the name of an attribute"),
        (PEOPLE, "max_length: 20", "max_lenght: 20", "unknown key 'max_lenght' in names.username; did you mean 'max_length'?"),
        (PEOPLE, "max_length: 20", "max_length: 20\n    max_length: 21", "the key 'max_length' stands twice"),
        (PEOPLE, "\"'student' in roles", "\"'student' in rolls", "did you mean 'roles'?"),
        (LDAP, "sn: display_family", "sn: display_famly", "did you mean 'display_family'?"),
        (LDAP, "{{ campus.code }},ou=Students", "{{ campus.cod }},ou=Students", "did you mean 'code'?"),
        (LDAP, '"ou=Grade {{', '"Grade {{', "is no place in a directory"),
        (LDAP, '"cn=All Students,ou=Groups"', '"All Students"', "'All Students' is no place in a directory"),
        (LDAP, "    find:\n", "    find_in: [Students]\n    find:\n", "'Students' is no place in a directory"),
        (LDAP, "    find:\n", "    find_in: ['ou={{ grade }}']\n    find:\n", "is the same for everybody: write a container"),
        (SYNCD, "    kind: ldap\n", "    kind: ldap\n    start: later\n", "'later' is not one of auto, live, observe"),
        (LDAP, "sn: display_family", "userPassword: \"'secret'\"", "'userPassword' is a password, which no mapping computes"),
        (LDAP, "policy: initial", "policy: inital", "did you mean 'initial'?"),
        (LDAP, "{ person: manager }", "{ persn: manager }", "unknown key 'persn' in accounts.staff.attributes.manager"),
        (LDAP, '"104233"', "0104233", 'would lose its zero; put it in quotes: "0104233"'),
        (LDAP, "  staff:\n", "  staf:\n", "did you mean 'staff'?"),
    ],
)
def test_each_mistake_is_told_with_its_place_and_what_was_meant(
    folder: Path, edit: Edit, file: str, old: str, new: str, problem: str
) -> None:
    """One edit, one message an administrator can act on, in the file that was edited."""
    edit(file, old, new)
    if not problem:
        settings.load(folder)
        return
    problems = _problems(folder)
    assert any(each.startswith(file) and problem in each for each in problems), problems


def test_a_mistyped_expression_is_pointed_at(folder: Path, edit: Edit) -> None:
    """Line and column are those of the wrong word, behind the quote."""
    edit(PEOPLE, "\"'student' in roles", "\"'student' in rolls")
    line = _line(folder, PEOPLE, "rolls")
    column = (folder / PEOPLE).read_text(encoding="utf-8").splitlines()[line - 1].index("rolls") + 1
    assert any(problem.startswith(f"{PEOPLE}:{line}:{column}: ") for problem in _problems(folder))


def test_a_target_without_a_mapping_is_a_problem(folder: Path) -> None:
    """A configured target that nothing is written to is a mistake, not a quiet day."""
    (folder / LDAP).unlink()
    assert any("the target 'ldap' has no mapping; write mappings/ldap.yaml" in problem for problem in _problems(folder))


def test_a_mapping_whose_target_is_not_configured_is_a_problem(folder: Path) -> None:
    """A mapping that nobody reads is told, with what was probably meant."""
    text = (folder / LDAP).read_text(encoding="utf-8")
    (folder / "mappings/ldap2.yaml").write_text(text.replace("target: ldap", "target: ldap2"), encoding="utf-8")
    assert any("no target 'ldap2' in config/syncd.yaml; did you mean 'ldap'?" in problem for problem in _problems(folder))


def test_a_file_with_the_wrong_ending_is_not_passed_over_in_silence(folder: Path) -> None:
    """`ldap.yml` would otherwise simply not count."""
    (folder / "mappings/ldap.yml").write_text("target: ldap\n", encoding="utf-8")
    assert any("give its name the ending .yaml" in problem for problem in _problems(folder))


@pytest.mark.parametrize("name", [".#ldap.yaml", ".ldap.yml"])
def test_what_an_editor_keeps_beside_a_file_is_no_mapping(folder: Path, name: str) -> None:
    """Emacs puts a link that leads nowhere beside a file that is being edited; it must not refuse the others."""
    (folder / "mappings" / name).symlink_to("head@office.4711")
    assert set(settings.load(folder).mappings) == {DIRECTORY}


def test_an_empty_folder_says_which_files_are_missing(tmp_path: Path) -> None:
    """Both files that must be there are named, with the command that writes them."""
    problems = _problems(tmp_path)
    assert [problem.split(":")[0] for problem in problems] == [SYNCD, PEOPLE]
    assert all("syncd init" in problem for problem in problems)


def test_an_empty_file_lacks_every_required_key(folder: Path) -> None:
    """An empty file is a file with everything missing, not a crash."""
    (folder / SYNCD).write_text("", encoding="utf-8")
    problems = _problems(folder)
    assert any("the key 'retention' is missing" in problem for problem in problems)


def test_no_problem_ever_shows_a_secret_file(folder: Path) -> None:
    """A problem names the file of a secret, never what is in it."""
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "state_key").write_bytes(b"verysecret" * 4)
    assert not any("verysecret" in str(problem) for problem in settings.check(settings.load(folder)))


@pytest.mark.parametrize("owner", [SourceSettings, TargetSettings])
def test_a_kinds_own_keys_never_collide_with_those_every_kind_has(owner: type) -> None:
    """They stand side by side in the file, so one name may mean one thing only."""
    shared = {key.name for key in keys_of(owner)}
    for kind, options in kinds_of(owner).items():
        assert shared.isdisjoint(key.name for key in keys_of(options)), kind


# --- check ------------------------------------------------------------------------------------------------------------


def _complete(folder: Path) -> None:
    for name in ("credentials/state_key", "credentials/ldap_bind"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(b"k" * 32)
    (folder / "roster").mkdir()
    for name in ("oneroster.zip", "claim_facts.csv", "ferpa.csv", "exits.csv", "staff.csv"):
        (folder / "roster" / name).touch()


def test_check_names_every_missing_secret_and_roster_at_its_key(folder: Path) -> None:
    """What the files name must be there; each missing one is told where it is named."""
    problems = [str(problem) for problem in settings.check(settings.load(folder))]
    assert len(problems) == 7
    line = _line(folder, SYNCD, "credential: ldap_bind")
    assert any(problem.startswith(f"{SYNCD}:{line}:") and "ldap_bind" in problem for problem in problems)
    line = _line(folder, SYNCD, "roster/ferpa.csv")
    assert any(problem.startswith(f"{SYNCD}:{line}:") and "No such file" in problem for problem in problems)


def test_check_has_nothing_to_say_of_a_complete_starting_set(folder: Path) -> None:
    """The shipped golden people come out as the shipped files say."""
    _complete(folder)
    assert settings.check(settings.load(folder), date(2026, 11, 23)) == []


def test_check_tells_a_golden_person_that_comes_out_otherwise(folder: Path, edit: Edit) -> None:
    """A golden person is a test: what it expects and what came are both told."""
    _complete(folder)
    edit(LDAP, "mail: mnguyen@internal.lonestar.example.org", "mail: mia@internal.lonestar.example.org")
    problems = [str(problem) for problem in settings.check(settings.load(folder))]
    assert len(problems) == 1
    assert problems[0].startswith(LDAP)
    assert "mnguyen@internal.lonestar.example.org" in problems[0]

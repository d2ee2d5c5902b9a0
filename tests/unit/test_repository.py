"""What the repository promises about itself: nothing of this machine in it, everything documented, no module out of hand."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from syncd.cli.app import app
from syncd.cli.exits import Exit

ROOT = Path(__file__).resolve().parents[2]
HARD_LIMIT = 600


def tracked() -> list[Path]:
    """What is or would be committed: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return sorted({path for path in paths if path.is_file()})


def texts(*endings: str) -> Iterator[tuple[Path, str]]:
    """The tracked text files with one of these endings (none given: all), by path inside the repository."""
    for path in tracked():
        if not endings or path.suffix in endings:
            try:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def module_lines() -> Iterator[tuple[str, int, str]]:
    """Every line of Python in the repository, with where it stands."""
    for path, text in texts(".py"):
        for number, line in enumerate(text.splitlines(), 1):
            yield str(path), number, line


# --- nothing of this machine ---

# Put together from parts, so that this file does not contain what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("crates", "io"))
)
DOWNLOAD = re.compile(r"https?://\S+\.(?:whl|tar\.gz|tgz|zip|deb|exe)\b")
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host")
MACHINE = re.compile(r"(?<![\w.])/(?:" + "|".join(("work", "root", "home", "Users", "opt" + "/wheels")) + r")/\w")


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_file_names_the_host_of_a_package_registry(host: str) -> None:
    """Versions are pinned by hash; where a package comes from is the business of who installs it."""
    assert [str(path) for path, text in texts() if host in text] == []


def test_no_file_names_a_download_address() -> None:
    """No script, lock or page says from which address something is to be fetched, nor which index to use."""
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (DOWNLOAD.search(line) or (INDEX.search(line) and path.name != "test_repository.py"))
    ]
    assert found == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    """Home folders and working folders of a developer stay out of the repository."""
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_no_script_pipes_a_download_into_a_shell() -> None:
    """What is fetched is checked by hash or by the distribution's signatures before it runs."""
    piped = re.compile(r"(?:curl|wget)\b.*\|\s*(?:sudo\s+)?(?:ba|z)?sh\b")
    assert [str(path) for path, text in texts() if path.suffix != ".py" and piped.search(text)] == []


def test_every_pinned_requirement_carries_hashes() -> None:
    """`pip install --require-hashes` accepts the files as they are."""
    for name in ("run.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry.strip() and not entry.startswith("#")]
        assert entries
        assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


# --- code ---


def test_no_module_is_longer_than_the_hard_limit() -> None:
    """A module over 600 lines is split. Test data written as Python is a list, not a module."""
    lengths = {str(path): text.count("\n") for path, text in texts(".py") if "fixtures" not in path.parts}
    assert {path: length for path, length in lengths.items() if length > HARD_LIMIT} == {}


def test_no_module_is_named_for_nothing() -> None:
    """A name says what a module knows; these say only that somebody had no name for it."""
    nameless = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "services", "misc"}
    assert [str(path) for path, _ in texts(".py") if {path.stem, *path.parent.parts} & nameless] == []


def test_every_suppression_carries_its_reason() -> None:
    """`noqa`, `type: ignore` and `pragma` say on the line why they are right."""
    suppression = re.compile(r"#\s*(?:ruff:\s*)?(?:noqa\b:?\s*[A-Z0-9, ]*|type:\s*ignore\[[\w, -]+\]|pragma: no \w+)(?P<rest>.*)$")
    bare = re.compile(r"#\s*(?:noqa(?!:)|type:\s*ignore(?!\[))")
    found = []
    for path, number, line in module_lines():
        match = suppression.search(line)
        if path.endswith("test_repository.py"):
            continue
        if bare.search(line) or (match and not re.search(r"\w", match["rest"].removeprefix("—"))):
            found.append(f"{path}:{number}: {line.strip()}")
    assert found == []


def passes_on(handler: ast.ExceptHandler) -> bool:
    """True for a handler that cleans up and raises the same again."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_only_the_boundaries_catch_everything() -> None:
    """`except Exception` stands at the engine's run boundary, the daemon's loop and around one compiled mapping, nowhere else."""
    allowed = {"syncd/daemon/__init__.py", "syncd/engine/__init__.py", "syncd/core/rules.py"}
    found = []
    for path, text in texts(".py"):
        if path.parts[0] != "syncd" or str(path) in allowed:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler) and not passes_on(node):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                if any(
                    kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds
                ):
                    found.append(f"{path}:{node.lineno}")
    assert found == []


# --- documentation ---


def verbs() -> dict[str, list[str]]:
    """Every verb with its options and arguments, as `--help` knows them; the shared options under the empty name."""
    command = get_command(app)
    found = {"": [option for parameter in command.params for option in parameter.opts if option.startswith("--")]}
    for name, verb in command.commands.items():  # type: ignore[attr-defined]  # get_command() promises less than it returns
        found[name] = [
            parameter.opts[0] if parameter.opts[0].startswith("-") else str(parameter.metavar) for parameter in verb.params
        ]
    return found


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_and_option_is_documented(verb: str) -> None:
    """The reference has a heading for each verb, and under it each of its options and arguments."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    heading = f"## `syncd {verb}`" if verb else "## Options of every verb"
    assert heading in page
    section = page.split(heading, 1)[1].split("\n## ", 1)[0]
    assert [option for option in verbs()[verb] if f"`{option}" not in section] == []


def test_every_exit_code_is_documented() -> None:
    """A script that reads an exit code finds it in the reference."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert [code for code in Exit if f"| {int(code)} |" not in page] == []


def test_every_link_between_pages_leads_somewhere() -> None:
    """A relative link in a page names a file that is there, and a heading that is in it."""
    found = []
    for path, text in texts(".md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            aim = (ROOT / path.parent / name).resolve() if name else ROOT / path
            if not aim.exists() or (anchor and anchor not in anchors(aim)):
                found.append(f"{path}: {link}")
    assert found == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as renderers make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_decision_is_listed() -> None:
    """The documentation's front page leads to every ADR and every how-to guide."""
    front = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [path for folder in ("adr", "how-to") for path in sorted((ROOT / "docs" / folder).glob("*.md"))]
    assert [page.name for page in pages if f"{page.parent.name}/{page.name}" not in front] == []


def test_every_script_is_executable_and_stops_at_the_first_error() -> None:
    """A script that goes on after an error reports success for work that was not done."""
    scripts = [path for path in (*(ROOT / "script").iterdir(), ROOT / ".ci" / "run") if path.is_file() and path.suffix == ""]
    assert scripts
    for script in scripts:
        assert script.stat().st_mode & 0o111, f"{script} is not executable"
        assert "set -euo pipefail" in script.read_text(encoding="utf-8"), script

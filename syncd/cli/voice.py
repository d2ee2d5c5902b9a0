"""The demo's voice on a terminal: headings, plans and stories printed as the verbs print them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from syncd.assembly import Running
from syncd.cli.asking import masker, masker_of_plan
from syncd.cli.console import progress, say, say_lines
from syncd.cli.plans import applied_lines, lines, people_of
from syncd.cli.story import lines as story_lines
from syncd.core.model import Outcome
from syncd.core.rendering import Filter
from syncd.engine.explain import Explanation
from syncd.engine.planned import Applied, Planned


class Printed:
    """Prints the demo (a `syncd.demo.tour.Voice`)."""

    def title(self, text: str) -> None:
        """A heading with room above it."""
        say(f"\n{text}\n{'-' * len(text)}", "bold cyan")

    def say(self, text: str = "") -> None:
        """One line."""
        say(text)

    def plan(self, planned: Planned, district: Running, most: int) -> None:
        """The plan as `syncd plan` prints it."""
        say_lines(lines(planned, Filter(), masker_of_plan(district.store, planned), most))

    def applied(self, applied: Applied, district: Running) -> None:
        """What came of a plan, as `syncd apply` prints it."""
        say_lines(applied_lines(applied, masker(district.store, people_of(applied))))

    def story(self, explanation: Explanation) -> None:
        """Why an account is as it is, as `syncd explain` prints it."""
        say_lines(story_lines(explanation))

    def progress(self, what: str, of: int) -> AbstractContextManager[Callable[[Outcome], None]]:
        """A bar, or a line now and then."""
        return progress(what, of)

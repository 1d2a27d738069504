"""What `nnspec check` does, and what it prints. The work itself is in `nnspec.project`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnspec.cli.output import one_of, progress, say, terminal
from nnspec.errors import UsageError
from nnspec.project.files import STDIN, specs
from nnspec.project.running import Run
from nnspec.project.settings import CommandLine, Discovery
from nnspec.project.verdict import Verdict, verdict
from nnspec.records import record, replace
from nnspec.render import FORMATS, render

if TYPE_CHECKING:
    from nnspec.project.baseline import Baseline
    from nnspec.project.outcome import Outcome
    from nnspec.project.upkeep import Baselines


@record(frozen=True)
class Request:
    """What the command line asks for."""

    paths: Sequence[str]
    given: CommandLine
    style: str = ""
    output_files: Sequence[str] = ()
    fix: bool = False
    unsafe: bool = False
    diff: bool = False
    reason: str = ""
    watch: bool = False
    exit_zero: bool = False
    write_baseline: str = ""
    show_settings: bool = False
    sift: bool = False
    stdin_name: str = ""
    quiet: bool = False
    prove: bool = False


class Session:
    """One check of the files that a request names, under the settings as they are now."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.discovery = Discovery(request.given)
        self.run = Run(self.discovery, stdin_name=request.stdin_name)
        self.paths = specs(request.paths, self.discovery, sift=request.sift)
        first = request.paths[0] if request.paths[0] != STDIN else request.stdin_name or "."
        self.style = one_of("--format", request.style or self.discovery.of(first).format or "full", FORMATS)
        #: The baselines that were read; None where no settings name one.
        self.baselines: Baselines | None = None
        #: What running the networks has shown, for programs and for people; nothing where none was run.
        self.proofs: list[dict[str, Any]] | None = None
        self.account = ""

    def outcomes(self) -> list[Outcome]:
        """What is found, before anything is left out."""
        found = self.run.outcomes(self.paths)
        if self.run.cache_trouble:
            progress(f"nnspec: no results are kept: {self.run.cache_trouble} (--no-cache says that this is meant)")
        return found

    def held_by(self, outcomes: Sequence[Outcome]) -> list[Baseline]:
        """The baselines that the settings of these files name."""
        if self.baselines is None:
            if not any(each.settings.baseline for each in outcomes):
                return []
            from nnspec.project.upkeep import Baselines

            self.baselines = Baselines()
        return self.baselines.of(outcomes)

    def settle(self, outcomes: Sequence[Outcome], *, files: int | None = None, shrink: bool = True) -> int:
        """Report on what was found, bring baselines up to date, and return the exit code."""
        told = verdict(outcomes, self.held_by(outcomes))
        self.show(told, files=len(self.paths) if files is None else files)
        stale = shrink and self._upkeep(outcomes)
        return 0 if self.request.exit_zero else int(told.fails or stale)

    def show(self, told: Verdict, *, files: int) -> None:
        """Write the reports where they belong."""
        instead, besides = _destinations(self.request.output_files)
        for style, path in besides:
            _write(path, _report(told, style, files, self.proofs))
        if instead:
            _write(instead, _report(told, self.style, files, self.proofs))
        elif told.findings or not self.request.quiet:
            say(_report(told, self.style, files, self.proofs, **terminal() if self.style in ("full", "concise") else {}))
        if self.account and not self.request.quiet and self.style in ("full", "concise"):
            say(self.account)
        if self.style == "github" and os.environ.get("GITHUB_STEP_SUMMARY"):
            from nnspec.render.github import summary

            with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
                file.write(summary(told.findings, files=files, held=told.held))

    def _upkeep(self, outcomes: Sequence[Outcome]) -> bool:
        """Take out of baselines what no longer occurs, or say so under CI. Returns whether something is left to be done."""
        given = self.request.given
        if self.baselines is None or given.sizes or given.settings:  # another question than the baseline answers
            return False
        folders = [path for path in self.request.paths if path != STDIN and os.path.isdir(path)]
        in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        gone = self.baselines.shrink(outcomes, folders, write=not in_ci)
        for path, number in gone.items():
            what = (
                "1 entry of the baseline no longer occurs"
                if number == 1
                else f"{number:,} entries of the baseline no longer occur"
            )
            if in_ci:
                progress(f"nnspec: {what}: run `nnspec check` to take {'it' if number == 1 else 'them'} out of {path}")
            else:
                progress(f"{what}: taken out of {path}", quiet=self.request.quiet)
        return in_ci and bool(gone)


def check(request: Request) -> int:
    """Carry out a request; returns the exit code."""
    _agree(request)
    if request.show_settings:
        return _show_settings(request)
    if request.watch:
        from nnspec.cli.watching import watch

        return watch(request)
    session = Session(request)
    if request.fix or request.diff or request.reason:
        from nnspec.cli.fixing import add_comments, show_fixes

        return add_comments(session) if request.reason else show_fixes(session)
    outcomes = session.outcomes()
    if request.write_baseline:
        return _write_baseline(session, outcomes)
    if request.prove:
        from nnspec.cli.proving import show_proofs

        return show_proofs(session, outcomes)
    return session.settle(outcomes)


def _agree(request: Request) -> None:
    """UsageError for options that do not go together."""
    chosen = {
        "--fix": request.fix and not request.diff, "--diff": request.diff, "--add-ignore": bool(request.reason),
        "--write-baseline": bool(request.write_baseline), "--watch": request.watch, "--show-settings": request.show_settings,
        "--prove": request.prove,
    }  # fmt: skip
    words = [word for word, given in chosen.items() if given]
    if len(words) > 1:
        raise UsageError(f"{words[0]} and {words[1]} do not go together")
    if request.unsafe and not (request.fix or request.diff):
        raise UsageError("--unsafe-fixes says what --fix or --diff may write: add one of them")
    if request.watch and STDIN in request.paths:
        raise UsageError("--watch looks at files, and standard input is none")
    _destinations(request.output_files)


def _report(told: Verdict, style: str, files: int, proofs: list[dict[str, Any]] | None = None, **options: Any) -> str:
    suppressed = [(each.finding, each.reason) for each in told.suppressed]
    text = render(told.findings, style, files=files, held=told.held, suppressed=suppressed, **options)
    if proofs is None or style != "json":
        return text
    import json

    return json.dumps({**json.loads(text), "proofs": proofs}, indent=2, ensure_ascii=False)


def _destinations(given: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """The file that takes the report instead of standard output, or "", and the files beside it with their formats."""
    instead, besides = "", []
    for text in given:
        style, equals, path = text.partition("=")
        if equals and style in FORMATS:
            besides.append((style, path))
        elif instead:
            raise UsageError(f"--output-file {text}: there is one report for {instead} already; write FORMAT={text} for another")
        else:
            instead = text
    return instead, besides


def _write(path: str, text: str) -> None:
    from nnspec.project.files import write_text

    # a name of a file need not be text
    write_text(path, f"{text}\n".encode("utf-8", "replace").decode() if text else "")


def _show_settings(request: Request) -> int:
    """Print the settings of the files, once for each settings file."""
    from nnspec.cli.output import show_json

    session = Session(request)
    groups: dict[str, list[str]] = {}
    for path in session.paths:
        groups.setdefault(session.discovery.of(path).path, []).append(path)
    known = {path: session.discovery.of(files[0]).shown() for path, files in groups.items()}
    if session.style == "json":
        show_json([{"path": path or None, "files": groups[path], "settings": values} for path, values in known.items()])
        return 0
    for path, values in known.items():
        more = f" and {len(groups[path]) - 1:,} more" if len(groups[path]) > 1 else ""
        say(f"# {groups[path][0]}{more}: {os.path.relpath(path) if path else 'no settings file'}")
        say("\n".join(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None))
    return 0


def _toml(value: Any) -> str:
    import json

    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value, ensure_ascii=False)


def _write_baseline(session: Session, outcomes: Sequence[Outcome]) -> int:
    """Write a baseline of what is found. Errors are shown, since no baseline holds them."""
    from nnspec.project.upkeep import write_new
    from nnspec.render.closing import count

    path = session.request.write_baseline
    told = verdict(outcomes)
    held = write_new(path, told.counted)
    progress(f"{path}: holds {count(held, 'finding')}", quiet=session.request.quiet)
    errors = [finding for each, finding in zip(told.counted, told.findings, strict=True) if each.finding.severity == "error"]
    if not errors:
        return 0
    session.show(replace(told, findings=errors, held=held), files=len(session.paths))
    return 0 if session.request.exit_zero else 1


def clear_cache() -> None:
    """Remove the kept results of the project around the working directory."""
    from nnspec.project.cache import clear
    from nnspec.render.closing import count

    progress(f"removed {count(clear(os.getcwd(), os.environ), 'file')} of kept results")

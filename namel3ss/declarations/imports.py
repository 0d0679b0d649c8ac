"""`import "./models.ai"`: which files make up a program.

Names are flat: the declarations of all files are one program's. Reading is left to a callback, so that this stays
pure; `namel3ss.declarations.folders` reads from a folder.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.declarations.contents import read_contents
from namel3ss.declarations.places import Location
from namel3ss.declarations.written import shortened
from namel3ss.language import Label, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.declarations.contents import Contents
    from namel3ss.declarations.findings import Findings
    from namel3ss.language import Diagnostic, Import, ParseResult, Source

__all__ = ["FileParser", "Files", "ImportProblem", "ImportReader", "ImportedFile", "gather", "parse_whole"]

# Far beyond what people keep in order by hand; they bound the work that one small file can ask for.
_DEEPEST: Final = 32
_MOST_FILES: Final = 256
_MOST_CHARACTERS: Final = 32 * 1024 * 1024

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file of the program. `text` is None where it is no text; `diagnostics` then say why.

    `identity` is the same however the file was reached; `path` is what people are shown.
    """

    identity: str
    path: str
    text: str | None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """Why a file cannot be imported: the code and texts of the finding at the import."""

    code: str
    message: str
    help: str | None = None


class ImportReader(Protocol):
    """Finds and reads what an import names."""

    def __call__(self, written: str, importer: str) -> ImportedFile | ImportProblem:
        """The file that `written` leads to from the file whose path is `importer`."""


class FileParser(Protocol):
    """Parses a text, as a whole or in parts that follow each other."""

    def __call__(self, text: str, path: str) -> Sequence[ParseResult]:
        """The parts in their order, each with a source of its own and the path of the file."""


def parse_whole(text: str, path: str) -> Sequence[ParseResult]:
    """The text in one part."""
    return (parse(text, path),)


@dataclass(frozen=True, slots=True)
class Files:
    """The contents of a program's files, in their parts, what is imported before what imports it.

    `path` is that of the file that is checked; no two files have one path. `is_whole`: nothing that was imported is
    missing, so that an unknown name is a mistake of its own. `profile` is the file that lies over the others; it has no
    part where there is none.
    """

    path: str
    parts: tuple[Contents, ...]
    is_whole: bool
    profile: tuple[Contents, ...] = ()

    def all(self) -> tuple[Contents, ...]:
        """Every part of every file, the profile last."""
        return (*self.parts, *self.profile)


def gather(
    main: ImportedFile,
    read: ImportReader | None,
    findings: Findings,
    profile: ImportedFile | None = None,
    parse_file: FileParser = parse_whole,
) -> Files:
    """Parse a file, its profile and everything they import, each file once. Without a reader imports are not followed."""
    gathering = _Gathering(read, findings, parse_file)
    gathering.enter(main)
    if profile is not None and profile.identity not in gathering.files:
        gathering.enter(profile)
    above = gathering.files.pop(profile.identity, ()) if profile is not None else ()
    parts = tuple(itertools.chain.from_iterable(gathering.files.values()))
    return Files(main.path, parts, gathering.is_whole, above)


class _Gathering:
    """One walk over the imports of a program, depth first."""

    def __init__(self, read: ImportReader | None, findings: Findings, parse_file: FileParser) -> None:
        self.files: dict[str, tuple[Contents, ...]] = {}  # by identity
        self.is_whole = True
        self._read = read
        self._parse = parse_file
        self._findings = findings
        self._characters = 0
        self._known: dict[str, str] = {}  # the path of each file by its identity
        # The files between the first one and the present one, each with the import that leads on from it.
        self._way: dict[str, tuple[str, Location | None]] = {}

    def enter(self, file: ImportedFile) -> None:
        if file.path in self._known.values():  # by another way to another file: places must not be mixed up
            file = replace(file, path=file.identity)
        self._known[file.identity] = file.path
        self._findings.add(file.diagnostics)
        if file.text is None:
            self.is_whole = False
            return
        self._characters += len(file.text)
        parts = read_contents(self._parse(file.text, file.path), self._findings)
        for part in parts:
            if part.diagnostics:
                self._findings.add(part.diagnostics)
        for part in parts:
            for item in part.imports:
                self._way[file.identity] = (file.path, Location(part.source, item.path.span))
                self._follow(item, part.source)
        self._way.pop(file.identity, None)
        self.files[file.identity] = parts

    def _follow(self, item: Import, source: Source) -> None:
        place = Location(source, item.path.span)
        if place.span.start == place.span.end:  # the path is missing, which the syntax check has reported
            self.is_whole = False
            return
        problem = _path_problem(item.path.value)
        if problem is None and self._read is None:
            problem = ImportProblem(
                "N3407", "This import is not followed: the text was read without its folder."
            )
        if problem is not None or self._read is None:
            self._refuse(problem, place)
            return
        found = self._read(item.path.value, source.path)
        if isinstance(found, ImportProblem):
            self._refuse(found, place)
        elif found.identity in self._way:
            self._report_circle(found.identity)
        elif found.identity not in self._known:
            limit = self._limit(found)
            if limit is None:
                self.enter(found)
            else:
                self._refuse(limit, place)

    def _limit(self, found: ImportedFile) -> ImportProblem | None:
        if len(self._way) >= _DEEPEST:
            what = f"More than {_DEEPEST} files import each other in one chain."
        elif len(self._known) >= _MOST_FILES:
            what = f"The program has more than {_MOST_FILES} files."
        elif self._characters + len(found.text or "") > _MOST_CHARACTERS:
            what = f"The files of the program have more than {_MOST_CHARACTERS // 1024 // 1024} MB together."
        else:
            return None
        return ImportProblem("N3404", what, "Import fewer files.")

    def _refuse(self, problem: ImportProblem | None, place: Location) -> None:
        self.is_whole = False
        if problem is not None:
            self._findings.report(problem.code, problem.message, place, help=problem.help)

    def _report_circle(self, identity: str) -> None:
        steps = list(self._way.values())[list(self._way).index(identity) :]
        names = [shortened(path) for path, _ in steps]
        places = [place for _, place in steps if place is not None]
        *earlier, last = places
        self._findings.report(
            "N3403",
            f"`{names[0]}` imports itself."
            if len(names) == 1
            else f"These files import each other in a circle: {' → '.join([*names, names[0]])}.",
            last,
            label="closes the circle" if earlier else "",
            labels=_labels(earlier, last.source),
            help="Leave out one of the imports: names are shared by all files of a program.",
        )


def _labels(places: Sequence[Location], home: Source) -> tuple[Label, ...]:
    return tuple(
        Label(place.span, "goes on here", None if place.source is home else place.source)
        for place in places[:4]
    )


def _path_problem(written: str) -> ImportProblem | None:
    """What is wrong with a path wherever it is read."""
    if not written.strip():
        return ImportProblem("N3401", "This import names no file.", 'Write `import "./models.ai"`')
    if _CONTROL.search(written) or len(written) > 4096:
        return ImportProblem("N3401", "No file can have this path.", 'Write `import "./models.ai"`')
    if written.startswith(("/", "\\", "~")) or _SCHEME.match(written):
        return ImportProblem(
            "N3402",
            f"`{shortened(written)}` is not a path inside the project.",
            'Name the file from this one, such as `import "./models.ai"`',
        )
    if "\\" in written:
        return ImportProblem(
            "N3401",
            f"`{shortened(written)}` has a backslash in it.",
            f'Write `import "{shortened(written.replace(chr(92), "/"))}"`',
        )
    return None

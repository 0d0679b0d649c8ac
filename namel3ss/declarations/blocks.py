"""Reads a block of settings by its config model, blocks inside it included: for every block that is not a provider's.

The model is the one list of keys, types, ranges, units and defaults, as a provider's config model is for an ai model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from namel3ss.declarations.environment import (
    UNSET,
    has_password,
    report_literal_secrets,
    report_unset,
    resolve,
)
from namel3ss.declarations.places import EnvironmentValue
from namel3ss.declarations.written import shortened
from namel3ss.language import Fix, TextEdit
from namel3ss.providers.setting_problems import find_problems
from namel3ss.providers.settings import setting_infos, without_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.places import Location
    from namel3ss.declarations.written import Written
    from namel3ss.providers.setting_problems import SettingProblem
    from namel3ss.providers.settings import SettingInfo

__all__ = ["BlockCheck", "inner_model"]

BlockT = TypeVar("BlockT", bound=BaseModel)


def inner_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The config model of a setting that is itself a block; None for any other."""
    field = model.model_fields.get(name)
    annotation = without_none(field.annotation) if field is not None else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


class BlockCheck:
    """Reads blocks against one environment. What is wrong is reported where it stands."""

    def __init__(self, environ: Mapping[str, str], findings: Findings) -> None:
        self._environ = environ
        self._findings = findings

    def read(
        self, model: type[BlockT], block: Mapping[str, Written], place: Location, where: str
    ) -> BlockT | None:
        """The settings of a block called `where`; None where something is wrong with them.

        A setting whose variable is not set is reported and left out.
        """
        infos = setting_infos(model)
        values: dict[str, object] = {}
        is_sound = True
        for name, written in block.items():
            inner = inner_model(model, name)
            if inner is not None and isinstance(written.content, dict):
                settings = self.read(inner, written.content, written.key or written.place, name)
                is_sound = is_sound and settings is not None
                value: object = UNSET if settings is None else settings
            else:
                value = self._value(model, infos.get(name), name, written)
            if value is not UNSET and (value is not None or name not in infos):
                values[name] = value
        problems = find_problems(model, values)
        for problem in problems:
            self._report(problem, block, infos, place, where)
        return model.model_validate(values) if is_sound and not problems else None

    def _value(self, model: type[BaseModel], info: SettingInfo | None, name: str, written: Written) -> object:
        if info is not None:
            report_literal_secrets(info, written, self._findings)
        for path, item in written.walk((name,)):
            reference = item.content
            if isinstance(reference, EnvironmentValue) and not (
                reference.has_default or reference.find(self._environ) is not None
            ):
                report_unset(path, reference, item, self._findings)
        return resolve(written.plain(), (name,), model, self._environ)

    def _report(
        self,
        problem: SettingProblem,
        block: Mapping[str, Written],
        infos: Mapping[str, SettingInfo],
        place: Location,
        where: str,
    ) -> None:
        name = str(problem.path[0]) if problem.path else ""
        written = block.get(name)
        if problem.kind == "missing":
            if written is not None:
                return  # its variable is not set, which is told there
            self._findings.report(
                "N3207",
                f"{where} needs {name}.",
                place,
                help=f"Add a line: `{name}: …`, {infos[name].form}.",
            )
        elif written is None:
            self._findings.report("N3202", problem.message, place, help=problem.suggestion)
        elif problem.kind == "unknown":
            key = written.key or written.place
            fixes = (
                (Fix(f"Write {problem.nearest}", (TextEdit(key.span, problem.nearest),), safe=False),)
                if problem.nearest
                else ()
            )
            self._findings.report(
                "N3201",
                f"Unknown setting `{shortened(name)}` in {where}.",
                key,
                help=problem.suggestion,
                fixes=fixes,
            )
        else:
            self._report_value(problem, written.at(problem.path[1:]), infos[name])

    def _report_value(self, problem: SettingProblem, written: Written, info: SettingInfo) -> None:
        content = written.content
        if isinstance(content, EnvironmentValue) and content.find(self._environ) is not None:
            self._findings.report(
                "N3303",
                f"{info.name} must be {info.form}, and the environment says something else.",
                written.place,
                label=f"from {content}",
                help="Set the variable to such a value.",
            )
        else:
            is_open = not (isinstance(content, str) and has_password(content))
            message = problem.message if is_open else f"{info.name} must be {info.form}."
            self._findings.report("N3202", message, written.place, help=problem.suggestion)

"""From a draft to a `ModelDeclaration`: the provider is found, its config model checks the settings."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.environment import (
    UNSET,
    report_literal_secrets,
    report_unset,
    resolve,
    variable_meant,
)
from namel3ss.declarations.model import ModelDeclaration
from namel3ss.declarations.placement import report_place, report_unknown, usual_block
from namel3ss.declarations.places import EnvironmentValue, Location, Path
from namel3ss.declarations.replacing import plain_meant, written_instead
from namel3ss.declarations.written import shortened
from namel3ss.language import Fix, TextEdit
from namel3ss.language.codes import CODES
from namel3ss.language.suggest import closest
from namel3ss.providers.registry import PluginError
from namel3ss.providers.setting_problems import find_problems
from namel3ss.providers.settings import ProviderConfig, setting_infos

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import BaseModel

    from namel3ss.declarations.drafts import Draft
    from namel3ss.declarations.fallbacks import Fallback
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.written import Written
    from namel3ss.providers.registry import ProviderRegistry
    from namel3ss.providers.setting_problems import SettingProblem
    from namel3ss.providers.settings import SettingInfo

__all__ = ["ModelCheck"]


class ModelCheck:
    """Checks drafts against the installed providers. Lives for one check of one program. `names` are all its ai models."""

    def __init__(
        self,
        registry: ProviderRegistry,
        environ: Mapping[str, str],
        findings: Findings,
        names: Collection[str],
    ) -> None:
        self._registry = registry
        self._environ = environ
        self._findings = findings
        self._names = names

    def declare(self, draft: Draft, *, is_extended: bool) -> ModelDeclaration | None:
        """The declaration of a draft with everything it inherits; None where it cannot load.

        A model that others extend may lack a provider or a model: it then only serves them.
        """
        errors_before = self._findings.errors
        texts = {
            key: self._text(draft, key)
            for key in ("provider", "model", "description", "system", "local_model_path")
        }
        provider = texts["provider"]
        config_model = self._config_model(draft, provider) if provider else None
        if config_model is not None:
            self._check_name(draft, texts["model"], config_model)
            self._check_settings(draft, config_model)
        fallback = self._fallback(draft)
        known = setting_infos(config_model) if config_model is not None else {}
        is_complete = all(
            self._has(draft, key, is_extended=is_extended, known=known) for key in ("provider", "model")
        )
        if self._findings.errors > errors_before or draft.is_broken or not is_complete:
            return None
        if not provider or config_model is None:
            return None  # the provider's name comes from a variable that is not set, which has been reported
        return _declaration(draft, texts, fallback, config_model)

    # -- the declaration's own keys ---------------------------------------------------------------------------

    def _has(self, draft: Draft, key: str, *, is_extended: bool, known: Mapping[str, SettingInfo]) -> bool:
        """Whether a key is there. One that is misspelt is reported where it stands, and once.

        `known` are the provider's settings; where there are any, an unknown one has been reported already.
        """
        written = draft.keys.get(key)
        if written is not None and written.content is not None:
            return True
        meant = _meant(draft, key, known)
        if meant is not None and known:
            return False
        if meant is not None:
            self._findings.report(
                "N3101" if key == "provider" else "N3102",
                f"ai model `{shortened(draft.name)}` has no {key}, and a key that it does not know.",
                meant.key or meant.place,
                label=f"is {key} meant?",
            )
        elif not is_extended and not draft.has_gaps:
            code, example = ("N3101", "ollama") if key == "provider" else ("N3102", "llama3:8b")
            self._findings.report(
                code,
                f"ai model `{shortened(draft.name)}` has no {key}.",
                draft.place,
                help=f"Add a line: `{key}: {example}`",
            )
        return False

    def _text(self, draft: Draft, key: str) -> str | None:
        """The text of a key; None where there is none. A variable that is not set gives its reference as text."""
        written = draft.keys.get(key)
        if written is None or written.content is None:
            return None
        content: object = written.content
        if isinstance(content, EnvironmentValue):
            text = content.find(self._environ)
            if text is None and not content.has_default:
                report_unset((key,), content, written, self._findings)
                return None if key == "provider" else str(content)
            content = content.default if text is None else text
        if not isinstance(content, str):
            spelling = written.place.source.text[slice(*written.place.span)]
            is_scalar = isinstance(written.content, int | float)
            self._findings.report(
                "N3108",
                f"{key} must be text.",
                written.place,
                help=f'Write it in quotes: `{key}: "{spelling}"`' if is_scalar else None,
                fixes=(Fix("Write it in quotes", (TextEdit(written.place.span, f'"{spelling}"'),)),)
                if is_scalar
                else (),
            )
            return None
        if not content.strip() and key in ("provider", "model"):
            self._findings.report("N3108", f"{key} is empty.", written.place, help=f"Write a {key}'s name.")
            return None
        return content

    def _fallback(self, draft: Draft) -> Fallback | None:
        written = draft.keys.get("fallback")
        if written is None:
            return None
        from namel3ss.declarations.fallbacks import read_fallback  # few models have one

        fallback = read_fallback(written, self._names, self._environ, self._findings)
        if fallback is not None and fallback.model == draft.name:
            self._findings.report(
                "N3113",
                f"ai model `{shortened(draft.name)}` falls back to itself.",
                written.at(("model",)).place,
                help="Name another ai model; `fallback: null` takes an inherited one away.",
            )
        return fallback

    def _check_name(self, draft: Draft, model: str | None, config_model: type[BaseModel]) -> None:
        content = draft.keys["model"].content if model else None
        if isinstance(content, EnvironmentValue) and model == str(content):
            return  # the variable is not set
        if (
            model
            and issubclass(config_model, ProviderConfig)
            and (problem := config_model.model_problem(model))
        ):
            self._findings.report(
                "N3111",
                f"`{shortened(model)}` is not the name of a model: {problem}.",
                draft.keys["model"].place,
            )

    # -- the provider -----------------------------------------------------------------------------------------

    def _config_model(self, draft: Draft, provider: str) -> type[BaseModel] | None:
        place = draft.keys["provider"].place
        try:
            config_model = self._registry.config_model(provider)
        except PluginError as error:
            self._findings.report("N3109", error.message, place, help=error.suggestion)
            return None
        if config_model is None:
            installed = self._registry.names()
            near = closest(provider, installed)
            self._findings.report(
                "N3103",
                f"Unknown provider `{shortened(provider)}`.",
                place,
                help=f"Did you mean `{near[0]}`?" if near else None,
                fixes=written_instead(place, near) if isinstance(draft.keys["provider"].content, str) else (),
                notes=(f"Installed providers: {', '.join(installed) or 'none'}.",),
            )
        return config_model

    # -- the settings -----------------------------------------------------------------------------------------

    def _check_settings(self, draft: Draft, config_model: type[BaseModel]) -> None:
        infos = setting_infos(config_model)
        values: dict[str, object] = {}
        for name, written in draft.settings.items():
            if info := infos.get(name):
                report_place(info, written, self._findings)
                report_literal_secrets(info, written, self._findings)
            for path, item in written.walk((name,)):
                if isinstance(item.content, EnvironmentValue) and not self._is_known(item.content):
                    report_unset(path, item.content, item, self._findings)
            value = resolve(written.plain(), (name,), config_model, self._environ)
            if value is not UNSET and (value is not None or info is None):
                values[name] = value
        problems = find_problems(config_model, values)
        for problem in problems:
            self._report(problem, draft, infos, config_model)
        if not problems and issubclass(config_model, ProviderConfig):
            self._advise(config_model.model_validate(values), draft)

    def _is_known(self, reference: EnvironmentValue) -> bool:
        return reference.has_default or reference.find(self._environ) is not None

    def _report(
        self,
        problem: SettingProblem,
        draft: Draft,
        infos: Mapping[str, SettingInfo],
        config_model: type[BaseModel],
    ) -> None:
        name = str(problem.path[0]) if problem.path else ""
        written = draft.settings.get(name)
        if problem.kind == "missing":
            if written is None:  # else its variable is not set, which is told there
                self._findings.report("N3207", problem.message, draft.place, help=problem.suggestion)
        elif written is None:
            self._findings.report("N3202", problem.message, draft.place, help=problem.suggestion)
        elif problem.kind == "unknown":
            report_unknown(problem, written, infos, self._findings)
        else:
            plain = plain_meant(written.content) if not infos[name].secret else None
            if plain is not None and find_problems(config_model, {name: json.loads(plain)}):
                plain = None
            self._report_value(problem, written.at(problem.path[1:]), infos[name], plain)

    def _report_value(
        self, problem: SettingProblem, written: Written, info: SettingInfo, plain: str | None
    ) -> None:
        """Report a value that does not fit; `plain` is how it would."""
        content = written.content
        if isinstance(content, EnvironmentValue) and content.find(self._environ) is not None:
            self._findings.report(
                "N3303",
                f"{info.name} must be {info.form}, and the environment says something else.",
                written.place,
                label=f"from {content}",
                help="Set the variable to such a value.",
            )
            return
        variable = variable_meant(content) if not info.secret else None
        hint = problem.suggestion if variable is None else f"A variable is written `env.{variable}`."
        self._findings.report(
            "N3202",
            problem.message,
            written.place,
            help=f"Write `{plain}`." if plain is not None else hint,
            fixes=(Fix(f"Write {plain}", (TextEdit(written.place.span, plain),), safe=False),)
            if plain
            else (),
        )

    def _advise(self, config: ProviderConfig, draft: Draft) -> None:
        for advice in config.advice(self._environ):
            written = draft.settings.get(advice.setting)
            if advice.code == "N3301" and written is not None:
                continue  # the variable that is written there is not set either, and has its own finding
            code = advice.code if advice.code in CODES else "N3800"
            place = (written.key or written.place) if written is not None else draft.place
            self._findings.report(code, advice.message, place, help=advice.suggestion)


def _meant(draft: Draft, key: str, known: Mapping[str, SettingInfo]) -> Written | None:
    """What stands in the declaration itself and is probably that key, misspelt or behind its own value."""
    for name, written in draft.settings.items():
        if not written.block and name not in known and (written.content == key or closest(name, (key,))):
            return written
    return None


def _declaration(
    draft: Draft,
    texts: Mapping[str, str | None],
    fallback: Fallback | None,
    config_model: type[BaseModel],
) -> ModelDeclaration:
    infos = setting_infos(config_model)
    blocks: dict[str, dict[str, object]] = {"config": {}, "deployment_config": {}}
    locations: dict[Path, Location] = {}
    references: dict[Path, EnvironmentValue] = {}
    for name, written in (draft.keys | draft.settings).items():
        for path, item in written.walk((name,)):
            locations[path] = item.place
            if isinstance(item.content, EnvironmentValue):
                references[path] = item.content
    for name, written in draft.settings.items():
        if written.content is not None:
            blocks[written.block or usual_block(infos.get(name))][name] = written.plain()
    return ModelDeclaration(
        name=draft.name,
        provider=texts["provider"] or "",
        model=texts["model"] or "",
        config=MappingProxyType(blocks["config"]),
        deployment_config=MappingProxyType(blocks["deployment_config"]),
        description=texts["description"],
        system=texts["system"],
        local_model_path=texts["local_model_path"],
        fallback=fallback,
        location=draft.place,
        locations=MappingProxyType(locations),
        references=MappingProxyType(references),
        config_model=config_model,
    )

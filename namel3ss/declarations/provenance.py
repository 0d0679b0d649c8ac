"""Where the values of a model come from: the default, the environment, what it extends, itself, the profile, `--set`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from namel3ss.declarations.environment import UNSET, resolve
from namel3ss.declarations.fallbacks import Fallback
from namel3ss.declarations.placement import usual_block
from namel3ss.declarations.places import EnvironmentValue
from namel3ss.providers.settings import ProviderConfig, setting_infos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.model import ModelDeclaration, ProgramFile
    from namel3ss.declarations.places import Location
    from namel3ss.declarations.profiles import Layer
    from namel3ss.declarations.written import Written
    from namel3ss.providers.settings import SettingInfo

__all__ = ["Origin", "OriginKind", "ResolvedModel", "ResolvedValue", "resolve_model"]

OriginKind: TypeAlias = Literal[
    "default", "environment", "extends", "model", "prompt", "chain", "server", "gateway", "profile", "--set"
]

_KEYS = ("provider", "model", "description", "system", "local_model_path", "fallback")


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that gives a value, whether it holds or a later one does.

    `value` is plain data, an `EnvironmentValue` where a secret comes from the environment. `place` is None for what
    no file wrote. `note` says more: the ai model that is extended, the variable that was read, or, where `value` is
    None, what then holds ("the model's own").
    """

    kind: OriginKind
    value: object
    place: Location | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedValue:
    """The value in force, what gave it, and everything that was asked, weakest first. A map may be of several origins."""

    name: str
    block: str
    value: object
    origin: Origin
    chain: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Every key and setting of one model, in the order of the language and of the provider's config model."""

    name: str
    location: Location
    values: Mapping[str, ResolvedValue]


def resolve_model(
    file: ProgramFile, name: str, environ: Mapping[str, str], assigned: Mapping[str, object]
) -> ResolvedModel:
    """The values of a model that loads. `assigned` are those of `--set`; None takes one away."""
    declaration = file.models[name].overridden(assigned)
    layers = file.origins.layers(name) if file.origins is not None else ()
    asking = _Asking(declaration, layers, environ, assigned)
    values = {key: asking.key(key) for key in _KEYS}
    for info in setting_infos(declaration.config_model).values():
        values[info.name] = asking.setting(info)
    return ResolvedModel(name, declaration.location, values)


class _Asking:
    """Asks the layers of one model for one value after the other."""

    def __init__(
        self,
        declaration: ModelDeclaration,
        layers: tuple[Layer, ...],
        environ: Mapping[str, str],
        assigned: Mapping[str, object],
    ) -> None:
        self._declaration = declaration
        self._layers = layers
        self._environ = environ
        self._assigned = assigned
        self._in_force = {**declaration.config, **declaration.deployment_config}
        model = declaration.config_model
        self._of_environment: Mapping[str, tuple[str, object]] = (
            model.environment_values(self._in_force, environ) if issubclass(model, ProviderConfig) else {}
        )

    def key(self, key: str) -> ResolvedValue:
        """One of the declaration's own keys."""
        chain = [Origin("default", None, note="none")]
        for layer in self._layers:
            written = layer.draft.keys.get(key)
            if written is not None:
                chain.append(self._origin(layer, written, self._text_of(written)))
        value = getattr(self._declaration, key)
        if isinstance(value, Fallback):
            value = value.model_dump(exclude_none=True)
        return ResolvedValue(key, "", value, chain[-1], tuple(chain))

    def _text_of(self, written: Written) -> object:
        content = written.content
        if isinstance(content, EnvironmentValue):
            text = content.find(self._environ)
            return content.default if text is None else text
        return written.plain()

    def setting(self, info: SettingInfo) -> ResolvedValue:
        """One of the provider's settings."""
        name = info.name
        chain = [
            Origin(
                "default", info.default, note="" if info.default is not None else info.placeholder or "unset"
            )
        ]
        if name in self._of_environment:
            variable, found = self._of_environment[name]
            chain.append(Origin("environment", found, note=variable))
        block = usual_block(info)
        for layer in self._layers:
            written = layer.draft.settings.get(name)
            if written is not None:
                chain.append(self._origin(layer, written, self._value(info, written.plain())))
                block = written.block or block
        if name in self._assigned:
            chain.append(Origin("--set", self._assigned[name]))
        if name in self._in_force:
            value = self._value(info, self._in_force[name])
            return ResolvedValue(name, block, value, chain[-1], tuple(chain))
        below = next(each for each in reversed(chain) if each.kind in ("default", "environment"))
        return ResolvedValue(name, block, below.value, below, tuple(chain))

    def _value(self, info: SettingInfo, written: object) -> object:
        if info.secret:
            return written  # a reference stays one: what it stands for is shown nowhere
        value = resolve(written, (info.name,), self._declaration.config_model, self._environ)
        return None if value is UNSET else value

    def _origin(self, layer: Layer, written: Written, value: object) -> Origin:
        notes = [layer.name] if layer.name != self._declaration.name else []
        if isinstance(written.content, EnvironmentValue):
            notes.append(str(written.content))
        return Origin(layer.kind, value, written.place, ", ".join(notes))

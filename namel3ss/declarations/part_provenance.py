"""Where the values of prompts, chains, servers and gateways come from: the default, the program, the profile."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from namel3ss.declarations.blocks import inner_model
from namel3ss.declarations.chain_check import CHAIN_KEYS
from namel3ss.declarations.environment import UNSET, resolve
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.gateway_settings import GatewaySettings, ServerSettings
from namel3ss.declarations.layers import blocks_of, layered_pairs, layered_values
from namel3ss.declarations.places import EnvironmentValue, Location
from namel3ss.declarations.prompts import PROMPT_KEYS
from namel3ss.declarations.provenance import Origin, ResolvedValue
from namel3ss.declarations.step_check import STEP_KEYS
from namel3ss.declarations.type_reading import read_object_type
from namel3ss.declarations.type_spelling import spell_type
from namel3ss.language import Block, BlockText, Boolean, Null, Number, Step, String
from namel3ss.observability.logs import redact_text
from namel3ss.providers.settings import setting_infos

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import BaseModel

    from namel3ss.declarations.layers import Layer
    from namel3ss.declarations.model import ProgramFile
    from namel3ss.declarations.parts import DeclaredPart
    from namel3ss.declarations.provenance import OriginKind
    from namel3ss.declarations.written import Written
    from namel3ss.language import Source, Value
    from namel3ss.providers.settings import SettingInfo

__all__ = ["ResolvedPart", "Verbatim", "resolve_part"]

_LONGEST: Final = 400
# Keys whose maps are types; a step's input is a map of values.
_TYPES: Final = {"prompt": ("input", "output"), "chain": ("input", "output"), "step": ("output",)}
_SETTINGS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {"server": ServerSettings, "gateway": GatewaySettings}
)


class Verbatim(str):
    """Text of the language itself: a type, or a map as it is written."""


@dataclass(frozen=True, slots=True)
class ResolvedPart:
    """Every key of one declaration. Those inside a block or step have its name before a full stop."""

    kind: str
    name: str
    location: Location
    values: Mapping[str, ResolvedValue]


def resolve_part(file: ProgramFile, name: str, environ: Mapping[str, str]) -> ResolvedPart:
    """The values of a prompt, chain, server or gateway that loads."""
    assert file.origins is not None
    part = file.origins.parts[name]
    values = _settings(part, environ) if part.kind in _SETTINGS else _keys(part)
    return ResolvedPart(
        part.kind,
        name,
        part.place,
        {f"{block}.{key}" if block else key: value for block, key, value in values},
    )


# -- servers and gateways -------------------------------------------------------------------------------------


def _settings(part: DeclaredPart, environ: Mapping[str, str]) -> Iterator[tuple[str, str, ResolvedValue]]:
    layers = [(_kind(layer, part), layered_values([layer], Findings())) for layer in part.layers]
    yield from _block(_SETTINGS[part.kind], "", layers, environ)


def _block(
    model: type[BaseModel],
    block: str,
    layers: Sequence[tuple[OriginKind, Mapping[str, Written]]],
    environ: Mapping[str, str],
) -> Iterator[tuple[str, str, ResolvedValue]]:
    for info in setting_infos(model).values():
        inner = inner_model(model, info.name)
        written = [(kind, pairs[info.name]) for kind, pairs in layers if info.name in pairs]
        maps = [(kind, each.content) for kind, each in written if isinstance(each.content, dict)]
        is_one = not block and inner is not None and info.name != "fallback"
        if inner is not None and is_one and (maps or info.default is not None):
            yield from _block(inner, info.name, maps, environ)
            continue
        chain = [_default(info)]
        chain += [_origin(kind, each, _value(model, info, each, environ)) for kind, each in written]
        # Null in a file takes a value away, so that the default holds.
        holds = chain[-1] if chain[-1].value is not None or len(chain) == 1 else chain[0]
        yield block, info.name, ResolvedValue(info.name, block, holds.value, holds, tuple(chain))


def _default(info: SettingInfo) -> Origin:
    default = info.default
    if isinstance(default, list):
        default = [item if isinstance(item, str | int | float) else str(item) for item in default]
    elif default is not None and not isinstance(default, str | int | float | dict):
        default = str(default)
    is_shown = default is not None and default not in ([], {})
    note = "" if is_shown else info.placeholder or "required"
    return Origin("default", default if is_shown else None, note=note)


def _value(model: type[BaseModel], info: SettingInfo, written: Written, environ: Mapping[str, str]) -> object:
    plain = written.plain()
    if info.secret:
        return plain  # a reference stays one: what it stands for is shown nowhere
    value = resolve(plain, (info.name,), model, environ)
    return None if value is UNSET else value


def _origin(kind: OriginKind, written: Written, value: object) -> Origin:
    note = str(written.content) if isinstance(written.content, EnvironmentValue) else ""
    return Origin(kind, value, written.place, note)


# -- prompts and chains ---------------------------------------------------------------------------------------


def _keys(part: DeclaredPart) -> Iterator[tuple[str, str, ResolvedValue]]:
    keys = PROMPT_KEYS if part.kind == "prompt" else CHAIN_KEYS
    yield from _pairs(part.kind, "", part.layers, part, keys)
    steps: dict[str, list[Layer]] = {}
    for layer in part.layers:
        for entry in layer.block.entries:
            if isinstance(entry, Step):
                steps.setdefault(entry.name.text, []).append(layer._replace(block=entry.block))
    for name, layers in steps.items():
        yield from _pairs("step", name, layers, part, STEP_KEYS)


def _pairs(
    what: str, block: str, layers: Sequence[Layer], part: DeclaredPart, keys: Sequence[str]
) -> Iterator[tuple[str, str, ResolvedValue]]:
    written = [layered_pairs([layer], Findings()) for layer in layers]
    in_force = layered_pairs(layers, Findings())
    for key in keys:
        chain = [Origin("default", None, note="none")]
        for layer, pairs in zip(layers, written, strict=True):
            value = pairs[key][-1].pair.value if key in pairs else None
            if value is not None:
                place = Location(layer.source, value.span)
                chain.append(Origin(_kind(layer, part), _shown(value, layer.source), place))
        if len(chain) == 1:
            if key in ("description", "system", "model"):
                yield block, key, ResolvedValue(key, block, None, chain[0], tuple(chain))
            continue
        held = in_force.get(key)
        maps = blocks_of(held) if held is not None else []
        value_in_force = chain[-1].value if held is not None else None
        if maps and key in _TYPES[what]:
            value_in_force = Verbatim(spell_type(read_object_type(maps, Findings())))
        elif len(maps) > 1:
            merged = layered_values(maps, Findings())
            value_in_force = {name: each.plain() for name, each in merged.items() if each.content is not None}
        origin = chain[-1] if held is not None else chain[0]
        yield block, key, ResolvedValue(key, block, value_in_force, origin, tuple(chain))


def _shown(value: Value, source: Source) -> object:
    """A value as people would recognise it: text as text, anything else as it is written."""
    if isinstance(value, String | BlockText | Number | Boolean | Null):
        return value.value
    text = " ".join(source.text[slice(*value.span)].split()) if isinstance(value, Block) else None
    # Without secrets before it is cut: half of one is not recognised.
    text = redact_text(source.text[slice(*value.span)] if text is None else text)
    return Verbatim(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _kind(layer: Layer, part: DeclaredPart) -> OriginKind:
    return "profile" if layer.is_profile else part.kind

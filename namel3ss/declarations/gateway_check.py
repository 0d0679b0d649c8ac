"""Makes gateways: their settings, the names in them, and who may come from where."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from namel3ss.declarations.blocks import BlockCheck
from namel3ss.declarations.environment import report_literal_password
from namel3ss.declarations.gateway_advice import ReadGateway, advise, report_unused_servers
from namel3ss.declarations.gateway_settings import GatewaySettings
from namel3ss.declarations.gateways import GatewayDeclaration
from namel3ss.declarations.replacing import written_instead
from namel3ss.declarations.server_check import check_servers, values_of
from namel3ss.declarations.written import shortened
from namel3ss.language import Label
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.gateways import ServerDeclaration
    from namel3ss.declarations.parts import DeclaredPart
    from namel3ss.declarations.places import Location
    from namel3ss.declarations.program_parts import ProgramModels
    from namel3ss.declarations.written import Written
    from namel3ss.language import Source

__all__ = ["GatewayCheck"]

# What a gateway stands in front of.
_PROVIDER: Final = "ollama"


class GatewayCheck:
    """Checks the servers and gateways of one program.

    Where a file of the program is missing (`is_whole` is False), an unknown name is its consequence and not reported.
    """

    def __init__(
        self, models: ProgramModels, environ: Mapping[str, str], findings: Findings, *, is_whole: bool
    ) -> None:
        self._models = models
        self._environ = environ
        self._findings = findings
        self._is_whole = is_whole
        self._servers: tuple[str, ...] = ()

    def check(
        self, server_parts: Mapping[str, DeclaredPart], gateway_parts: Mapping[str, DeclaredPart]
    ) -> tuple[dict[str, ServerDeclaration], dict[str, GatewayDeclaration]]:
        """The servers and gateways that can be used, by name."""
        servers = check_servers(server_parts, self._environ, self._findings)
        self._servers = tuple(server_parts)
        each = [(part,) for part in gateway_parts.values()]
        read = self._findings.recall_all("gateways", each, self._other_names(), self._check_one)
        sound = [gateway for gateway in read if gateway is not None and gateway.is_sound]
        for gateway in sound:
            advise(
                gateway, servers, self._models.healthy, self._environ, self._findings, is_whole=self._is_whole
            )
        if len(sound) == len(gateway_parts):
            report_unused_servers(sound, server_parts, self._findings)
        return servers, {gateway.declaration.name: gateway.declaration for gateway in sound}

    def _other_names(self) -> Hashable:
        """What a gateway depends on besides what is written in it: names, and which of them it may serve."""
        models = self._models
        providers = tuple([(name, model.provider) for name, model in models.healthy.items()])
        return self._is_whole, self._servers, tuple(models.places), tuple(models.broken), providers

    def _check_one(self, part: DeclaredPart) -> ReadGateway | None:
        if self._findings.is_full:
            return None
        errors_before = self._findings.errors
        pairs = values_of(part, self._findings)
        settings = BlockCheck(self._environ, self._findings).read(
            GatewaySettings, pairs, part.place, "the gateway"
        )
        report_literal_password("database", pairs, self._findings)
        if settings is None:
            return None
        self._check_names(settings, pairs)
        self._check_listeners(settings, pairs, part.place)
        self._check_classes(settings, pairs)
        if settings.coordination is not None:
            self._findings.report(
                "N3707",
                "This version has nothing that lets several gateways share one queue.",
                pairs["coordination"].place,
                help="Leave coordination out, or write `coordination: null`",
            )
        every_model = [name for name, model in self._models.healthy.items() if model.provider == _PROVIDER]
        declaration = GatewayDeclaration(
            name=part.name,
            location=part.place,
            servers=_each_once(self._servers if settings.servers is None else settings.servers),
            models=_each_once(every_model if settings.models is None else settings.models),
            fallback=settings.fallback.model if settings.fallback is not None else None,
            pairs=MappingProxyType(pairs),
        )
        is_sound = self._findings.errors == errors_before and not part.fault_lines
        return ReadGateway(declaration, settings, is_sound)

    # -- names ------------------------------------------------------------------------------------------------

    def _check_names(self, settings: GatewaySettings, pairs: Mapping[str, Written]) -> None:
        for name in _each_once(settings.servers or ()):
            if name not in self._servers:
                self._report_unknown("N3701", "server", name, self._servers, _item(pairs["servers"], name))
        for name in _each_once(settings.models or ()):
            self._check_model(name, _item(pairs["models"], name))
        fallback = settings.fallback
        if fallback is not None and fallback.model not in self._models.places:
            written = pairs["fallback"].at(("model",))
            self._report_unknown("N3112", "ai model", fallback.model, self._models.places, written)

    def _check_model(self, name: str, written: Written) -> None:
        if name not in self._models.places:
            self._report_unknown("N3702", "ai model", name, self._models.places, written)
        elif name in self._models.healthy and self._models.healthy[name].provider != _PROVIDER:
            provider = shortened(self._models.healthy[name].provider)
            self._findings.report(
                "N3703",
                f"A gateway serves models on {_PROVIDER} only, and `{shortened(name)}` is on {provider}.",
                written.place,
                help="Take it out of the list; it may be the gateway's fallback.",
            )
        elif name not in self._models.healthy and name not in self._models.broken:
            self._findings.report(
                "N3703",
                f"`{shortened(name)}` is there to be extended: it has no model of its own.",
                written.place,
                help="List an ai model that extends it.",
            )

    def _report_unknown(
        self, code: str, what: str, name: str, names: Collection[str], written: Written
    ) -> None:
        if not self._is_whole:
            return
        near = closest(name, names) if self._findings.is_short else []
        self._findings.report(
            code,
            f"There is no {what} `{shortened(name)}`.",
            written.place,
            help=f"Did you mean `{near[0]}`?" if near else f"Declare it: `{what} {shortened(name)} {{ … }}`",
            fixes=written_instead(written.place, near) if isinstance(written.content, str) else (),
        )

    # -- who may come, and from where -------------------------------------------------------------------------

    def _check_listeners(
        self, settings: GatewaySettings, pairs: Mapping[str, Written], place: Location
    ) -> None:
        if settings.listen == settings.admin_listen and settings.listen.port:
            written = pairs.get("admin_listen") or pairs.get("listen")
            self._findings.report(
                "N3705",
                f"Users and administration have one address, {settings.listen}.",
                written.place if written is not None else place,
                help="Give admin_listen another port.",
            )
        if settings.anonymous is not None and not settings.listen.is_loopback:
            here, there = pairs["anonymous"].place, pairs["listen"].place
            self._findings.report(
                "N3706",
                f"Requests without a key are for this machine only, and the gateway listens on {settings.listen}.",
                here,
                labels=(Label(there.span, "others reach this", _elsewhere(there, here)),),
                help="Leave anonymous out and give each user a key, or listen on 127.0.0.1.",
            )

    def _check_classes(self, settings: GatewaySettings, pairs: Mapping[str, Written]) -> None:
        if settings.anonymous is not None and settings.anonymous not in settings.priorities:
            self._report_class("N3704", settings.anonymous, pairs["anonymous"].place, settings.priorities)
        for name in settings.whitelist:
            if name not in settings.priorities:
                written = pairs["whitelist"].at((name,))
                self._report_class("N3710", name, written.key or written.place, settings.priorities)

    def _report_class(self, code: str, name: str, place: Location, classes: Collection[str]) -> None:
        near = closest(name, classes)
        there = ", ".join(f"`{shortened(each)}`" for each in list(classes)[:10])
        self._findings.report(
            code,
            f"There is no class `{shortened(name)}`, so no key can have it.",
            place,
            help=f"Did you mean `{near[0]}`?" if near else f"Add it to priorities, which has {there}.",
            fixes=written_instead(place, near),
        )


def _item(written: Written, name: str) -> Written:
    """The item of a list that says `name`, or the list where none does: its text may come from the environment."""
    items = written.content if isinstance(written.content, list) else []
    return next((item for item in items if item.content == name), written)


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _elsewhere(there: Location, here: Location) -> Source | None:
    return None if there.source is here.source else there.source

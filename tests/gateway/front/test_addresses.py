"""Where a request comes from, and who may speak to the gateway at all."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.declarations import check_text
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front.addresses import Callers, NetworkList, parse_address
from tests.gateway.front.door import holder, open_door
from tests.gateway.plans import ONE_MODEL

if TYPE_CHECKING:
    from namel3ss.gateway.front.addresses import Address, Network

ANYBODY = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]

Headers = list[tuple[bytes, bytes]]


def forwarded(*values: str) -> Headers:
    return [(b"x-forwarded-for", value.encode("latin-1")) for value in values]


def find(peer: str | None, headers: Headers, proxies: list[Network] = PROXIES) -> str:
    return Callers(allowed=ANYBODY, trusted_proxies=proxies).find(peer, headers).text


@pytest.mark.security(14)
@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        # From nobody's proxy nothing counts.
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", forwarded("198.51.100.1"), "203.0.113.5"),
        ("203.0.113.5", forwarded("not an address"), "203.0.113.5"),
        ("203.0.113.5", [(b"x-real-ip", b"198.51.100.1")], "203.0.113.5"),
        ("203.0.113.5", [(b"forwarded", b"for=198.51.100.1")], "203.0.113.5"),
        # From a trusted proxy, the first that is not trusted, from the end.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", forwarded("198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", forwarded("127.0.0.1, 198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", forwarded("198.51.100.1, 10.0.0.2"), "198.51.100.1"),
        ("10.0.0.1", forwarded("198.51.100.1, 203.0.113.9, 10.0.0.2,10.0.0.3"), "203.0.113.9"),
        ("10.0.0.1", forwarded("127.0.0.1", "198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", forwarded("198.51.100.1", "10.0.0.2"), "198.51.100.1"),
        ("10.0.0.1", forwarded("10.0.0.3, 10.0.0.2"), "10.0.0.3"),
        ("10.0.0.1", forwarded("garbage, 198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", [(b"x-real-ip", b"198.51.100.1")], "10.0.0.1"),
        ("10.0.0.1", [(b"forwarded", b"for=198.51.100.1")], "10.0.0.1"),
        # The ways to write an address
        ("10.0.0.1", forwarded("198.51.100.1:4711"), "198.51.100.1"),
        ("10.0.0.1", forwarded("2001:db8::1"), "2001:db8::1"),
        ("10.0.0.1", forwarded("[2001:db8::1]"), "2001:db8::1"),
        ("10.0.0.1", forwarded("[2001:db8::1]:4711"), "2001:db8::1"),
        ("10.0.0.1", forwarded(" \t198.51.100.1 "), "198.51.100.1"),
        ("10.0.0.1", forwarded("::ffff:198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", forwarded("198.51.100.1, ::ffff:10.0.0.2"), "198.51.100.1"),
        # Peers
        ("::ffff:10.0.0.1", forwarded("198.51.100.1"), "198.51.100.1"),
        ("fd00::1", forwarded("198.51.100.1"), "198.51.100.1"),
        ("fd00::1%eth0", forwarded("198.51.100.1"), "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("::ffff:203.0.113.5", forwarded("198.51.100.1"), "203.0.113.5"),
    ],
)
def test_the_caller_is_the_first_that_no_trusted_proxy_is(peer: str, headers: Headers, expected: str) -> None:
    assert find(peer, headers) == expected


@pytest.mark.security(14)
@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        ",",
        "198.51.100.1,",
        "unknown",
        "_hidden",
        "localhost",
        "198.51.100.1.example",
        "198.51.100.300",
        "0198.51.100.1",
        "198.51.100.1:port",
        "198.51.100.1:",
        "198.51.100.1:123456",
        "[2001:db8::1",
        "2001:db8::1]:80",
        "[198.51.100.1]",
        "[2001:db8::1]x",
        "fe80::1%eth0",
        "[fe80::1%25eth0]:80",
        "198.51.100.1 203.0.113.9",
        "for=198.51.100.1",
        "3325256705",
        "0x7f.1",
        "127.1",
        "١٢٧.0.0.1".encode().decode("latin-1"),
    ],
)
def test_what_a_proxy_says_of_no_address_is_denied(written: str) -> None:
    if not written.strip(" "):
        # A proxy that writes nothing has said nothing.
        headers = forwarded(f"{written},") if written else forwarded("198.51.100.1, ")
    else:
        headers = forwarded(written)

    with pytest.raises(Refusal) as refused:
        find("10.0.0.1", headers)

    assert refused.value.reason is Reason.address_not_allowed


@pytest.mark.security(14)
@pytest.mark.parametrize("peer", [None, "", "/run/gateway.sock", "localhost", "testclient"])
def test_a_peer_without_an_address_is_denied(peer: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        find(peer, forwarded("127.0.0.1"))

    assert refused.value.reason is Reason.address_not_allowed


@pytest.mark.security(14)
async def test_a_caller_cannot_talk_itself_onto_the_list() -> None:
    lies = [
        ("X-Forwarded-For", "10.1.1.1"),
        ("X-Real-IP", "10.1.1.1"),
        ("Forwarded", "for=10.1.1.1"),
        ("X-Client-IP", "10.1.1.1"),
        ("True-Client-IP", "10.1.1.1"),
        ("CF-Connecting-IP", "10.1.1.1"),
        ("X-Forwarded-Host", "localhost"),
    ]
    async with open_door('whitelist: { default: ["10.1.0.0/16"] }') as door:
        answer = await door.ask("POST", "/api/chat", headers=lies, body=b"{}")

    assert (answer.status, answer.reason) == (403, "not_whitelisted")
    assert answer.json["error"].startswith(
        "Keys of the class `default` may be used from listed addresses alone, and 127.0.0.1 is not listed."
    )


@pytest.mark.security(14)
async def test_what_a_trusted_proxy_says_counts_for_lists_and_is_what_handlers_see() -> None:
    settings = 'trusted_proxies: ["127.0.0.1"] allow_addresses: ["10.0.0.0/8"] whitelist: { default: ["10.1.0.0/16"] }'
    async with open_door(settings) as door:
        listed = await door.ask("GET", "/api/tags", headers=[("X-Forwarded-For", "10.1.2.3")])
        not_listed = await door.ask("GET", "/api/tags", headers=[("X-Forwarded-For", "10.2.2.3")])
        foreign = await door.ask("GET", "/api/tags", headers=[("X-Forwarded-For", "192.0.2.1")])
        proxy_itself = await door.ask("GET", "/health/live")

    assert listed.json["client"] == "10.1.2.3"
    assert not_listed.reason == "not_whitelisted"
    assert foreign.reason == "address_not_allowed"
    assert proxy_itself.reason == "address_not_allowed"


@pytest.mark.security(15)
async def test_a_caller_that_is_not_allowed_is_refused_before_its_key_and_its_body_are_read() -> None:
    async with open_door('allow_addresses: ["10.0.0.0/8"]') as door, door.wire() as wire:
        wire.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n")
        answer = await wire.answer()

        assert answer is not None
        assert (answer.status, answer.reason) == (403, "address_not_allowed")
        assert answer.header("connection") == "close"
        assert door.keys.asked == []


@pytest.mark.security(15)
async def test_without_a_word_only_this_machine_may_speak_to_the_gateway() -> None:
    program = check_text(f"{ONE_MODEL}gateway team {{ }}", "team.ai")
    allowed = program.gateways["team"].settings({}).allow_addresses

    callers = Callers(allowed=allowed, trusted_proxies=[])

    assert callers.find("127.8.8.8", []).text == "127.8.8.8"
    assert callers.find("::1", []).text == "::1"
    with pytest.raises(Refusal):
        callers.find("10.0.0.1", [])


@pytest.mark.security(15)
@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["0.0.0.0/0"], ["1.2.3.4", "::ffff:1.2.3.4"], ["2001:db8::1"]),
        (["::/0"], ["2001:db8::1"], ["1.2.3.4", "::ffff:1.2.3.4"]),
        (["10.0.0.0/8", "10.1.0.0/16"], ["10.1.2.3", "10.2.2.3"], ["11.0.0.1"]),
        (["::ffff:10.0.0.0/104"], ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1"]),
        (["10.1.2.3"], ["10.1.2.3"], ["10.1.2.4"]),
        ([], [], ["127.0.0.1", "::1"]),
    ],
)
def test_lists_hold_their_networks_and_an_empty_one_holds_nobody(
    networks: list[str], inside: list[str], outside: list[str]
) -> None:
    held = NetworkList(ipaddress.ip_network(network) for network in networks)

    assert [parse_address(address) in held for address in inside] == [True] * len(inside)
    assert [parse_address(address) in held for address in outside] == [False] * len(outside)


V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
# Few starting points, so that addresses are often inside of networks.
NEAR = st.sampled_from(["10.0.0.0", "10.255.255.255", "127.0.0.1", "::ffff:10.0.0.1", "::1", "fd00::1", "::"])
ADDRESSES = st.one_of(V4, V6, NEAR.map(ipaddress.ip_address))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    address = draw(ADDRESSES)
    prefix = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((address, prefix), strict=False)


def unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def oracle(address: Address, listed: list[Network]) -> bool:
    """What the library says, with IPv4 inside IPv6 read as IPv4 on both sides."""
    for network in listed:
        if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
            start = network.network_address.ipv4_mapped
            if start is not None and address in ipaddress.ip_network((start, network.prefixlen - 96)):
                return True
        if address in network:
            return True
    return False


@pytest.mark.security(15)
@given(ADDRESSES, st.lists(networks(), max_size=6))
def test_a_list_holds_what_the_library_says_it_holds(address: Address, listed: list[Network]) -> None:
    meant = parse_address(str(address))

    assert meant == unmapped(address)
    assert (meant in NetworkList(listed)) is oracle(meant, listed)


@pytest.mark.security(14)
@given(st.lists(ADDRESSES, max_size=6), st.lists(networks(), max_size=4), ADDRESSES)
def test_the_caller_is_the_rightmost_untrusted_hop_of_any_chain(
    hops: list[Address], proxies: list[Network], peer: Address
) -> None:
    chain = [unmapped(hop) for hop in [*hops, peer]]
    expected = chain[-1]
    while oracle(expected, proxies) and len(chain) > 1:
        chain.pop()
        expected = chain[-1]

    found = find(str(peer), forwarded(", ".join(map(str, hops))) if hops else [], proxies)

    assert found == str(expected)


@pytest.mark.security(16)
@pytest.mark.parametrize("key", ["allow_addresses", "trusted_proxies"])
@pytest.mark.parametrize("value", ["*", "any", "10.0.0.1/8", ""])
def test_lists_are_of_addresses_and_no_word_stands_for_all(key: str, value: str) -> None:
    program = check_text(f'{ONE_MODEL}gateway team {{ {key}: ["{value}"] }}', "team.ai")

    assert program.errors
    assert not program.gateways


@pytest.mark.security(13)
async def test_a_key_may_be_held_to_its_own_addresses() -> None:
    keys = {
        "here": holder(networks=(ipaddress.ip_network("127.0.0.0/8"),)),
        "elsewhere": holder(networks=(ipaddress.ip_network("10.0.0.0/8"),)),
    }
    async with open_door(keys=keys) as door:
        here = await door.ask("GET", "/api/tags", key="here")
        elsewhere = await door.ask("GET", "/api/tags", key="elsewhere")

    assert here.status == 200
    assert (elsewhere.status, elsewhere.reason) == (403, "address_not_allowed")


async def test_stored_entries_of_a_class_are_as_good_as_those_of_the_file() -> None:
    stored: dict[str, tuple[Network, ...]] = {}
    settings = 'priorities: { default: 0, direct_api: 1 } whitelist: { direct_api: ["10.0.0.0/8"] }'
    keys = {"direct": holder(class_name="direct_api"), "other": holder()}

    async with open_door(settings, keys=keys, stored=lambda name: stored.get(name, ())) as door:
        before = await door.ask("GET", "/api/tags", key="direct")
        stored["direct_api"] = (ipaddress.ip_network("127.0.0.1/32"),)
        after = await door.ask("GET", "/api/tags", key="direct")
        stored["default"] = (ipaddress.ip_network("10.0.0.0/8"),)
        closed = await door.ask("GET", "/api/tags", key="other")

    assert (before.status, before.reason) == (403, "not_whitelisted")
    assert after.status == 200
    assert (closed.status, closed.reason) == (403, "not_whitelisted")


async def test_an_address_on_the_whitelist_stands_for_no_key() -> None:
    async with open_door('whitelist: { default: ["127.0.0.1"] }') as door:
        answer = await door.ask("GET", "/api/tags", key=None)

    assert (answer.status, answer.reason) == (401, "no_key")

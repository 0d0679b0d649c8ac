"""What a keystroke costs, and that what is remembered for the next one is never old."""

from __future__ import annotations

import gc
import random
from typing import TYPE_CHECKING

import pytest
from lsprotocol import types

from namel3ss.declarations.memory import Outcome
from namel3ss.language_server.features.diagnostics import find_problems
from namel3ss.language_server.features.online import ServerQuestions, find_online_problems
from namel3ss.language_server.machine import Machine
from namel3ss.language_server.trust import Trust
from tests.benchmarks.language_server.latency import program
from tests.language.counted_work import counted_calls
from tests.language_server.files import make_workspace, opened
from tests.language_server.test_documents import as_told

if TYPE_CHECKING:
    from pathlib import Path

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

_MODELS = """ai model base { provider: ollama  config: { num_ctx: 4096  temperature: 0.5 } }
ai model chat { extends: base  model: tiny }
ai model slow { extends: chat  config: { num_ctx: 8192 }  fallback: chat }
"""
_APP = """import "./models.ai"
server one { base_url: "http://10.0.0.1:11434"  slots: 2 }
server two { base_url: "http://10.0.0.2:11434"  slots: 4 }
gateway team { servers: [one, two]  models: [chat, slow]  listen: "127.0.0.1:9000"  queue: { reserve: 1 } }
prompt ask { model: chat  input: { text: str }  template: "Say {{ text }}" }
prompt why { model: slow  input: { text: str }  template: "Why {{ text }}?" }
chain c {
    input: { text: str }
    step s { prompt: ask  input: { text: "{{ input.text }}" }  output: said }
    step t { prompt: why  input: { text: "{{ said }}" }  output: reason }
}
"""
_PROFILE = """ai model chat { config: { temperature: 0.1 } }
prompt ask { template: "Shout {{ text }}" }
server one { slots: 8 }
gateway team { queue: { reserve: 2 } }
"""
_WORDS = ("ask", "why", "chat", "slow", "base", "one", "two", "team", "said", "text", "prompt", "server", "chain", "models")  # fmt: skip
_PUT_IN = (
    "", "", "x", "1", " ", "\n", "{", "}", '"', "# n3: ignore[N3807] so\n", "server three { base_url: \"http://10.0.0.1:11434\" }\n",
    "gateway other { servers: [three] }\n", "prompt late { model: chat  template: \"hi\" }\n", 'import "./app.ai"\n',
    "ai model { provider: ollama  model: tiny }\n", "sk-" + "a1" * 12 + "\n", *_WORDS,
)  # fmt: skip


def _edited(workspace: Workspace, document: Document, start: int, end: int, text: str) -> Document:
    place = types.Range(document.lines.position(start), document.lines.position(end))
    edit = types.TextDocumentContentChangePartial(range=place, text=text)
    changed = workspace.change(document.uri, (document.version or 0) + 1, [edit])
    assert changed is not None
    return changed


def _random_edit(choose: random.Random, text: str) -> tuple[int, int, str]:
    """A word for another, so that names come to mean something else, or anything anywhere."""
    word = choose.choice(_WORDS)
    places = [at for at in range(len(text)) if text.startswith(word, at)]
    if places and choose.random() < 0.6:
        start = choose.choice(places)
        return start, start + len(word), choose.choice((*_WORDS, word + "x"))
    start = choose.randint(0, len(text))
    return start, min(len(text), start + choose.choice((0, 0, 1, 3, 60))), choose.choice(_PUT_IN)


@pytest.mark.parametrize("seed", range(6))
def test_in_several_files_under_a_profile_nothing_that_is_told_is_old(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    texts = {"models.ai": _MODELS, "app.ai": _APP, "app.prod.ai": _PROFILE}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    workspace = make_workspace(tmp_path)
    list(workspace.find_files())
    uris = [(tmp_path / name).as_uri() for name in texts]
    for uri, text in zip(uris, texts.values(), strict=True):
        opened(text, workspace, uri)
    for _ in range(25):
        before = workspace.document(choose.choice(uris))
        assert before is not None
        start, end, put = _random_edit(choose, before.text)
        after = _edited(workspace, before, start, end, put)
        _compare(workspace, uris, tmp_path)
        if (
            choose.random() < 0.7
        ):  # taken back: what was remembered before the edit must not come back by mistake
            _edited(workspace, after, start, start + len(put), before.text[start:end])
            _compare(workspace, uris, tmp_path)


def _compare(workspace: Workspace, uris: list[str], folder: Path) -> None:
    fresh = make_workspace(folder)
    list(fresh.find_files())
    documents = [document for uri in uris if (document := workspace.document(uri)) is not None]
    for document in documents:
        opened(document.text, fresh, document.uri)
    for document in documents:
        other = fresh.document(document.uri)
        assert other is not None
        assert as_told(find_problems(workspace, document)) == as_told(find_problems(fresh, other)), [
            each.text for each in documents
        ]


def test_servers_and_gateways_are_remembered_and_still_hang_together() -> None:
    workspace, document = opened(_APP.partition("\n")[2] + _MODELS)
    assert _codes(workspace, document) == []

    for old, new, codes in (
        ("10.0.0.2", "10.0.0.1", ["N3711"]),
        ("slots: 4", "slots: 1", []),
        ("reserve: 1", "reserve: 4", ["N3714"]),
        ("[one, two]", "[one]", ["N3716"]),
        ("models: [chat, slow]", "models: [chat, slo]", ["N3702"]),
        ("model slow", "model slower", ["N3507", "N3702"]),
    ):
        start = document.text.index(old)
        changed = _edited(workspace, document, start, start + len(old), new)
        assert _codes(workspace, changed) == codes
        document = _edited(workspace, changed, start, start + len(new), old)
        assert _codes(workspace, document) == []


def _codes(workspace: Workspace, document: Document) -> list[str]:
    """What is found, but for what is said of the models beside the gateway."""
    return sorted({found.code for found in find_problems(workspace, document)} - {"N3805", "N3807"})


def _calls_for_a_keystroke(models: int, place: str) -> int:
    """The calls from a changed text to what is known of it, for a letter typed in the middle of the file."""
    workspace, document = opened(program(models))
    questions = ServerQuestions(workspace, Machine(workspace.registry, Trust(), lambda: None))
    start = document.text.index(place, len(document.text) // 2) + len(place)

    def type_it(letter: str) -> None:
        nonlocal document
        document = _edited(workspace, document, start, start + 1 - len(letter), letter)
        find_problems(workspace, document)
        find_online_problems(workspace, document, questions.of_all)

    type_it("x")
    type_it("")
    return counted_calls(type_it, "x")


@pytest.mark.parametrize("place", ["# model number", "the one with", "top_k: 4", "Say in ", "{{ moo"])
def test_what_a_keystroke_costs_hardly_grows_with_the_file(place: str) -> None:
    small, large = _calls_for_a_keystroke(12, place), _calls_for_a_keystroke(48, place)

    assert large <= 2 * small


def test_what_is_remembered_does_not_grow_with_the_edits() -> None:
    workspace, document = opened(program(12))

    def type_and_take_back() -> int:
        nonlocal document
        for start in range(0, len(document.text), 97):
            document = _edited(workspace, document, start, start, "x")
            find_problems(workspace, document)
            document = _edited(workspace, document, start, start + 1, "")
            find_problems(workspace, document)
        gc.collect()
        return sum(type(each) is Outcome for each in gc.get_objects())

    assert type_and_take_back() == type_and_take_back()

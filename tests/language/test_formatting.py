from __future__ import annotations

import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from namel3ss.language import Severity, parse
from namel3ss.language.formatting import format_text
from namel3ss.language.tokens import read_tokens
from tests.language.nodes import without_spans
from tests.language.texts import any_text, pieces, programs

CORPUS = sorted((Path(__file__).resolve().parent.parent.parent / "grammar/corpus").rglob("*.ai"))
LARGE = {"limits_entries", "limits_steps"}
FUZZING = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def formatted(text: str) -> str:
    return format_text(textwrap.dedent(text).lstrip("\n"))


def expected(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def comments(text: str) -> Counter[str]:
    return Counter(text[start:end].rstrip() for start, end in read_tokens(text).comments)


def check_what_always_holds(text: str) -> None:
    once = format_text(text)

    assert format_text(once) == once
    assert without_spans(parse(once).tree.items) == without_spans(parse(text).tree.items)
    assert comments(once) == comments(text)
    assert [finding.code for finding in parse(once).diagnostics] == [
        finding.code for finding in parse(text).diagnostics
    ]


# -- the layout -----------------------------------------------------------------------------------------------------


def test_block_over_several_lines_has_one_pair_a_line_and_four_blanks_a_level() -> None:
    assert formatted("""
        ai   model  chat {
          provider:ollama,   model :   llama3:8b
                config: {
            temperature: 0.70, stop: [ "a" ,'b' ] }}
        """) == expected("""
        ai model chat {
            provider: ollama
            model: llama3:8b
            config: {
                temperature: 0.70
                stop: ["a", 'b']
            }
        }
        """)


def test_group_on_one_line_stays_there_if_it_fits() -> None:
    fits = 'server gpu1 { base_url: "http://10.0.0.5:11434"  slots: 2 }\n'

    assert format_text(fits) == 'server gpu1 { base_url: "http://10.0.0.5:11434", slots: 2 }\n'


def test_group_too_long_for_its_line_is_spread() -> None:
    long = ", ".join(f"http://server-{number}:11434" for number in range(5))

    assert format_text(f"llm m {{\nhosts: [{long}]\n}}") == (
        "llm m {\n    hosts: [\n"
        + "".join(f"        http://server-{number}:11434,\n" for number in range(5))
        + "    ]\n}\n"
    )


def test_brace_on_the_next_line_comes_up() -> None:
    assert format_text("chain c\n{\n  step s\n  {\n retry: 1\n}\n input:\n {\n a: str } }") == expected("""
        chain c {
            step s {
                retry: 1
            }
            input: {
                a: str
            }
        }
        """)


def test_angle_brackets_become_braces() -> None:
    assert format_text("ai model fast < provider: ollama >\n") == "ai model fast { provider: ollama }\n"
    assert format_text("ai model <\n provider: ollama\n note: a>b>\n") == (
        "ai model {\n    provider: ollama\n    note: a>b\n}\n"
    )


def test_of_several_blank_lines_one_is_kept_and_none_at_the_edges_of_a_block() -> None:
    assert formatted("""


        llm a {


            provider: ollama



            model: tiny

        }



        llm b { provider: ollama }
        llm c { provider: ollama }

        """) == expected("""
        llm a {
            provider: ollama

            model: tiny
        }

        llm b { provider: ollama }
        llm c { provider: ollama }
        """)


def test_types_and_references_have_blanks_around_their_signs() -> None:
    assert formatted("""
        prompt p {
            input: {a:int=5,b:"x"|"y",c:list[ str ]?,d:{e:str}?}
            model: env.A??env.B??"x"
        }
        """) == expected("""
        prompt p {
            input: { a: int = 5, b: "x" | "y", c: list[str]?, d: { e: str }? }
            model: env.A ?? env.B ?? "x"
        }
        """)


# -- what is kept ---------------------------------------------------------------------------------------------------


def test_comments_stay_behind_or_above_what_they_stood_at() -> None:
    assert formatted("""
        #one
          # two
        llm a { # three
              # four
            provider: ollama # five
            stop: [ # six
               "a" # seven
               , "b", # eight
               # nine
            ]
            # ten
        } # eleven
        # twelve
        """) == expected("""
        #one
        # two
        llm a {  # three
            # four
            provider: ollama  # five
            stop: [  # six
                "a",  # seven
                "b",  # eight
                # nine
            ]
            # ten
        }  # eleven
        # twelve
        """)


def test_comment_in_the_middle_of_an_entry_moves_above_it() -> None:
    assert format_text("llm m # a\n{ config: # b\n{ x: 1 }\n}") == (
        "# a\nllm m {\n    # b\n    config: { x: 1 }\n}\n"
    )


def test_block_text_is_indented_anew_and_says_the_same() -> None:
    text = "prompt p {\n template: |  # said\n   one\n\n     two  \n   # three\n model: m\n}\n"

    assert format_text(text) == (
        "prompt p {\n    template: |  # said\n        one\n\n          two  \n        # three\n    model: m\n}\n"
    )


def test_word_that_begins_with_a_hash_never_becomes_a_comment() -> None:
    check_what_always_holds("llm m {\n  a:#x\n  b: [1,#y]\n}")
    check_what_always_holds("llm m { b: [\n1,#y\n] }")


def test_line_ends_of_the_first_line_and_the_byte_order_mark_stay() -> None:
    assert format_text("\ufeffllm m {\r\na: |\r\n  x\r\n\n  y\n}") == (
        "\ufeffllm m {\r\n    a: |\r\n        x\r\n\r\n        y\r\n}\r\n"
    )


def test_empty_texts_are_empty() -> None:
    assert [format_text(text) for text in ("", "\n\n", " \t\r\n", "\ufeff\n")] == ["", "", "", "\ufeff"]


def test_declaration_of_the_wider_language_stays_as_it_is() -> None:
    foreign = "page home {\n  title:   'x'\n      }\n  }\n\n\n}\n"

    assert format_text(f"llm a {{provider:ollama}}\n\n\n{foreign}llm b {{}}") == (
        f"llm a {{ provider: ollama }}\n\n{foreign}llm b {{}}\n"
    )


def test_broken_declaration_stays_and_the_others_are_formatted() -> None:
    broken = "llm b {\n  provider:   ollama\n  model llama3\n}\n"

    assert format_text(f"llm a {{provider:ollama}}\n\n\n{broken}\n\n# c\nllm c {{model:tiny}}\n") == (
        f"llm a {{ provider: ollama }}\n\n{broken}\n\n# c\nllm c {{ model: tiny }}\n"
    )


def test_nothing_changes_between_fmt_off_and_fmt_on() -> None:
    kept = "# fmt: off\nllm a {provider:ollama}\n\n\n   llm b {  }\n# fmt: on\n"

    assert format_text(f"llm x {{a:1}}\n{kept}llm y {{a:1}}") == f"llm x {{ a: 1 }}\n{kept}llm y {{ a: 1 }}\n"
    assert format_text(f"{kept[:-10]}\nllm y {{a:1}}\n") == f"{kept[:-10]}\nllm y {{a:1}}\n"


def test_fmt_off_works_inside_a_block() -> None:
    assert formatted("""
        llm a {
          provider:    ollama
          # fmt: off
          temperature:   0.5,   top_k:     4
          # fmt: on
          model:    tiny
        }
        llm b {
          config: {
            # fmt: off
              top_k:     4  }
        }
        """) == expected("""
        llm a {
            provider: ollama
            # fmt: off
          temperature:   0.5,   top_k:     4
          # fmt: on
            model: tiny
        }
        llm b {
            config: {
                # fmt: off
              top_k:     4  }
        }
        """)


# -- what holds for any text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.long] if path.stem in LARGE else [], id=path.stem)
        for path in CORPUS
    ],
)
def test_every_file_of_the_corpus_keeps_its_meaning(path: Path) -> None:
    check_what_always_holds(path.read_bytes().decode(errors="replace"))


@FUZZING
@given(programs)
def test_generated_programs_keep_their_meaning(text: str) -> None:
    check_what_always_holds(text)


@FUZZING
@given(programs)
def test_generated_programs_are_laid_out_whatever_they_were(text: str) -> None:
    lines = [re.sub(r'"[^"]*"', '""', line) for line in format_text(text).splitlines()]

    assert [line for line in lines if line.rstrip() != line or "\t#" in line] == []
    assert [line for line in lines if (len(line) - len(line.lstrip(" "))) % 4] == []


@FUZZING
@given(pieces)
@example("# fmt: off\n}\n# fmt: on\nllm a {}")
@example("} # fmt: off\nllm a {a:1}")
def test_any_row_of_pieces_keeps_its_meaning(text: str) -> None:
    check_what_always_holds(text)
    check_what_always_holds("ai model m {\n" + text + "\n}\nllm n {a:1}\n")


@FUZZING
@given(any_text)
def test_any_characters_keep_their_meaning(text: str) -> None:
    check_what_always_holds(text)


@FUZZING
@given(
    programs,
    st.integers(0, 10_000),
    st.sampled_from(["# fmt: off\n", "# fmt: on\n", "# note\n", "}", '"', "\n"]),
)
def test_programs_with_something_put_in_keep_their_meaning(text: str, at: int, more: str) -> None:
    at %= len(text) + 1

    check_what_always_holds(text[:at] + more + text[at:])


def test_valid_corpus_is_laid_out_not_left_alone() -> None:
    """The safeguard that returns a text as it is never has to act for a valid file."""
    for path in CORPUS:
        text = path.read_bytes().decode(errors="replace")
        if path.parent.name == "valid" and not any(
            finding.severity is Severity.ERROR for finding in parse(text).diagnostics
        ):
            assert format_text("llm  probe  {}\n" + text.removeprefix("\ufeff")).startswith(
                "llm probe {}\n"
            ), path

"""`extends`: what is inherited, and what goes round in circles."""

from __future__ import annotations

from namel3ss.language import Severity
from tests.declarations.checks import check, codes, line_of, marked, only


def test_maps_merge_key_by_key_and_the_nearer_value_wins():
    program = check(
        """
        ai model base {
            provider: ollama
            system: "Be kind."
            config: { temperature: 0.1, top_k: 5, options: { a: 1, b: { x: 1, y: 2 } } }
            deployment_config: { keep_alive: 5m }
        }
        ai model near {
            extends: base
            model: llama3:8b
            config: { temperature: 0.9, options: { b: { y: 3 }, c: 4 } }
        }
        ai model nearer {
            extends: near
            system: "Be brief."
            deployment_config: { num_gpu: 7 }
        }
        """
    )

    assert codes(program) == []
    assert list(program.models) == ["near", "nearer"]
    nearer = program.models["nearer"]
    assert (nearer.provider, nearer.model, nearer.system) == ("ollama", "llama3:8b", "Be brief.")
    assert program.models["near"].system == "Be kind."
    assert dict(nearer.config) == {
        "temperature": 0.9,
        "top_k": 5,
        "options": {"a": 1, "b": {"x": 1, "y": 3}, "c": 4},
    }
    assert dict(nearer.deployment_config) == {"keep_alive": "5m", "num_gpu": 7}


def test_an_inherited_value_knows_where_it_was_written():
    program = check(
        """
        ai model base { provider: ollama, model: a, config: { top_k: 5 } }
        ai model near { extends: base }
        """
    )

    assert str(program.models["near"].locations[("top_k",)]) == "app.ai:1:62"


def test_the_order_in_the_file_does_not_matter():
    program = check(
        """
        ai model near { extends: base, model: x }
        ai model base { provider: ollama }
        """
    )

    assert codes(program) == []
    assert list(program.models) == ["near"]


def test_null_takes_an_inherited_value_away():
    program = check(
        """
        ai model base { provider: ollama, model: a, system: x, config: { top_k: 5 } }
        ai model near { extends: base, system: null, config: { top_k: null } }
        """
    )

    assert program.models["near"].system is None
    assert program.models["near"].settings({}) == {}


def test_another_block_in_the_nearer_model_is_no_disagreement():
    program = check(
        """
        ai model base { provider: ollama, model: a, deployment_config: { keep_alive: 5m } }
        ai model near { extends: base, config: { keep_alive: 1m } }
        """
    )

    assert codes(program) == ["N3205"]
    assert program.models["near"].settings({}) == {"keep_alive": "1m"}


def test_a_base_that_only_serves_others_may_lack_provider_and_model():
    program = check(
        """
        ai model base { config: { temperature: 0 } }
        ai model near { extends: base, provider: ollama, model: x }
        """
    )

    assert codes(program) == []
    assert list(program.models) == ["near"]
    assert program.broken == ()


def test_a_mistake_in_a_base_is_reported_once_and_its_heirs_may_mend_it():
    program = check(
        """
        ai model base { provider: ollama, model: a, config: { temperature: 9 } }
        ai model one { extends: base }
        ai model two { extends: base }
        ai model mended { extends: base, config: { temperature: 1 } }
        """
    )

    assert codes(program) == ["N3202"]
    assert list(program.models) == ["mended"]


def test_a_model_cannot_inherit_from_one_that_is_broken():
    program = check(
        """
        ai model base { provider: ollama, model: a, model: b }
        ai model near { extends: base }
        """
    )

    assert codes(program) == ["N3203"]
    assert program.broken == ("base", "near")


def test_an_unknown_target_is_led_to_the_nearest_name():
    found = only(
        check(
            """
            ai model base_config { provider: ollama, model: a }
            ai model near { extends: base_confg }
            """
        )
    )

    assert (found.code, marked(found), found.help) == ("N3106", "base_confg", "did you mean `base_config`?")


def test_a_circle_is_reported_once_with_its_path():
    program = check(
        """
        ai model a { extends: b }
        ai model b { extends: c }
        ai model c { extends: a }
        ai model heir { extends: b }
        ai model healthy { provider: ollama, model: x }
        """
    )
    found = only(program)

    assert found.code == "N3107"
    assert found.message == "these ai models extend each other in a circle: a → b → c → a"
    assert line_of(found) == 1
    assert len(found.labels) == 2
    assert list(program.models) == ["healthy"]
    assert program.broken == ("a", "b", "c", "heir")


def test_a_model_that_extends_itself_is_a_circle_of_one():
    found = only(check("ai model a { provider: ollama, model: x, extends: a }"))

    assert (found.code, found.message) == ("N3107", "ai model `a` extends itself")


def test_a_target_that_is_no_name_is_an_error():
    found = only(check("ai model a { provider: ollama, model: x, extends: [b] }"))

    assert (found.code, found.severity) == ("N3108", Severity.ERROR)


def test_sixty_four_models_may_extend_each_other_but_not_more():
    def chain(length: int) -> str:
        first = "ai model m0 { provider: ollama, model: x }\n"
        return first + "\n".join(f"ai model m{n} {{ extends: m{n - 1} }}" for n in range(1, length))

    assert codes(check(chain(64))) == []
    program = check(chain(70))
    assert codes(program) == ["N3107"]
    assert len(program.models) == 64


def test_a_name_that_needs_quotes_is_suggested_in_quotes():
    found = only(
        check('ai model "base one" { provider: ollama, model: x }\nai model b { extends: "base onr" }')
    )

    assert found.fixes[0].edits[0].text == '"base one"'

"""The grammar file is what runs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from namel3ss.language import tables
from namel3ss.language.builder import TreeBuilder
from namel3ss.language.grammar_compiler import compile_grammar, render_table

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = tables.grammar_folder()


def test_the_compiled_table_is_that_of_the_grammar() -> None:
    grammar = (FOLDER / tables.GRAMMAR).read_bytes()

    assert (FOLDER / tables.COMPILED).read_text(encoding="utf-8") == render_table(compile_grammar(grammar)), (
        "run: python -m namel3ss.language.grammar_compiler"
    )


def test_every_rule_has_a_builder_and_every_builder_a_rule() -> None:
    wanted = {f"build_{name}" for _, _, name in tables.parse_table().rules if name is not None}

    assert wanted == {name for name in vars(TreeBuilder) if name.startswith("build_")}


def test_every_take_method_has_a_terminal() -> None:
    terminals = {f"take_{name.lower()}" for name in tables.parse_table().terminals}

    assert {name for name in vars(TreeBuilder) if name.startswith("take_")} - terminals == {"take_other"}


def test_a_table_of_another_grammar_is_compiled_anew(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from namel3ss.language import tables
folder = Path(sys.argv[1])
grammar = (tables.grammar_folder() / tables.GRAMMAR).read_text(encoding="utf-8")
(folder / tables.GRAMMAR).write_text(grammar.replace("prompt|chain", "prompt|chain|recipe"), encoding="utf-8")
(folder / tables.COMPILED).write_bytes((tables.grammar_folder() / tables.COMPILED).read_bytes())
table = tables.read_table(folder)
print("lark" in sys.modules, len(table.actions))
"""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
        )

    assert done.stdout.split()[0] == "True"


def test_parsing_with_a_fresh_table_imports_no_lark() -> None:
    code = "import sys; from namel3ss.language import parse; parse('llm m { k: v }'); print('lark' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_importing_the_language_reads_no_grammar() -> None:
    code = "import sys, namel3ss.language; print('namel3ss.grammar' in sys.modules, 'json' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split()[0] == "False"

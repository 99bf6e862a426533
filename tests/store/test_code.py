"""The code's part of a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.store import code


@pytest.fixture
def digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, str]]]:
    """A function that writes modules and gives the digests of the closure of tasks.main."""
    monkeypatch.setattr(code, "ROOT", tmp_path)

    def write(**modules: str) -> dict[str, str]:
        for name, text in modules.items():
            path = tmp_path / "tasks" / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            (tmp_path / "tasks" / "__init__.py").touch()
            path.write_text(text)
        code._examine.cache_clear()
        return code.code_digests("tasks.main")

    yield write
    code._examine.cache_clear()


def test_closure_holds_what_is_imported_directly_and_indirectly(digests):
    """The closure holds a module, what it imports, what that imports, and the packages above them."""
    found = digests(
        main="from tasks.first import f", first="import tasks.sub.second", sub__second="", other="x = 1"
    )
    assert set(found) == {"tasks", "tasks.main", "tasks.first", "tasks.sub", "tasks.sub.second"}


@pytest.mark.parametrize(
    "statement",
    [
        "from tasks import helper",
        "from . import helper",
        "from .helper import f",
        "def f():\n    from tasks.helper import g",
        "try:\n    import tasks.helper\nexcept ImportError:\n    pass",
        "if TYPE_CHECKING:\n    import os\nelse:\n    import tasks.helper",
    ],
)
def test_every_way_to_import_is_seen(digests, statement):
    """Absolute, relative, inside functions, in an else: what can run counts."""
    assert "tasks.helper" in digests(main=statement, helper="")


def test_imports_for_the_type_checker_do_not_count(digests):
    """What stands under TYPE_CHECKING never runs, so its change changes no key."""
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tasks.helper import T"
    before = digests(main=text, helper="")
    assert "tasks.helper" not in before
    assert digests(main=text.replace("helper import T", "helper import U")) == before


def test_comments_docstrings_and_layout_do_not_count(digests):
    """A comment, a docstring or another layout leaves the digest as it is."""
    before = digests(main='"""One."""\n\ndef f(a):\n    """Two."""\n    return a + 1  # why\n')
    after = digests(main="# new\ndef f(\n    a,\n):\n    return a + 1\n")
    assert before == after


@pytest.mark.parametrize(
    "text", ["def f(a):\n    return a + 2\n", "def f(b):\n    return b + 1\n", "X = 'doc'"]
)
def test_a_change_of_the_code_counts(digests, text):
    """Another constant, another name or another string changes the digest."""
    before = digests(main="def f(a):\n    return a + 1\n")
    assert digests(main=text)["tasks.main"] != before["tasks.main"]


def test_a_change_in_a_helper_changes_only_its_part(digests):
    """The digest is kept by module, so it can be told which one changed."""
    before = digests(main="from tasks.helper import f", helper="def f(): return 1")
    after = digests(helper="def f(): return 2")
    assert {name for name in before if before[name] != after[name]} == {"tasks.helper"}


@pytest.mark.parametrize(
    "text",
    [
        "X = 1\n{}\nY = 2\n",
        "class A:\n    x: int\n    {}\n    y: int\n",
        "def f():\n    if a:\n        b()\n        {}\n    else:\n        c()\n        {}\n",
        "try:\n    a()\nexcept E:\n    b()\n    {}\nfinally:\n    c()\n    {}\n",
        "class A(B):\n    {}\n",
    ],
    ids=["constant", "attribute", "branches", "try", "nothing else"],
)
def test_a_string_below_what_it_describes_does_not_count(digests, text):
    """A string that is a statement of its own does nothing, wherever it stands."""
    before = digests(main=text.replace("{}", '"""One."""'))
    assert digests(main=text.replace("{}", '"""Two."""')) == before
    assert digests(main=text.replace("{}", 'f"{two}"')) != before


def test_a_string_that_is_not_a_docstring_counts(digests):
    """A string that is a value of something is code."""
    before = digests(main='def f():\n    x = "one"\n    return x\n')
    assert digests(main='def f():\n    x = "two"\n    return x\n') != before

"""The file of a token."""

from __future__ import annotations

import pytest

from settings.errors import WrongInput
from tasks.store.token import read_token


@pytest.mark.parametrize("content", [b"abc.DEF_1~+/-2==", b" abc.DEF_1~+/-2==\r\n"])
def test_the_white_space_around_a_token_is_not_of_it(tmp_path, content):
    """As an editor leaves it at the end."""
    (tmp_path / "token").write_bytes(content)
    assert read_token(tmp_path / "token") == "abc.DEF_1~+/-2=="


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"two words", "holds something other than one token"),
        (b"two\nlines", "holds something other than one token"),
        ("schlüssel".encode(), "holds something other than one token"),
        (b'quote"', "holds something other than one token"),
    ],
)
def test_what_is_no_token_is_refused_by_name(tmp_path, content, why):
    """The file is named; what is in it is not repeated."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WrongInput) as refused:
        read_token(path)
    assert str(refused.value).startswith(f"the token file {path} {why}")
    assert not content or not content.strip() or content.decode().strip() not in str(refused.value)

"""What is written for a server and what the server reads are declared twice, and are the same."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tasks.channels.backend import Wanted
from tasks.channels.files import ChannelFiles
from tasks.serving import document
from tasks.serving.document import Document


def test_wanted_and_document_have_the_same_fields():
    """Names, order, types and defaults agree; only the version has to be given when it is wanted."""
    declared = [
        [(field.name, field.type, field.default) for field in fields(kind) if field.name != "version"]
        for kind in (Wanted, Document)
    ]
    assert declared[0] == declared[1]
    assert [fields(kind)[0].name for kind in (Wanted, Document)] == ["version"] * 2
    assert fields(Wanted)[0].type == fields(Document)[0].type


@pytest.mark.parametrize("wanted", [Wanted(3), Wanted(4, "tensorflow", 1, 2)])
def test_the_server_reads_what_is_wanted(wanted, tmp_path):
    """A document that the backend writes is parsed to the same values, and has the same ids for both."""
    files = ChannelFiles(tmp_path, "stage")
    files.want(wanted)
    assert vars(document.parse(files.document.read_bytes())) == vars(wanted)
    assert files.wanted() == wanted
    assert document.place_id(files.document) == files.place_id
    first = files.revision()
    assert document.revision_of(files.document) == first
    files.want(wanted)
    assert document.revision_of(files.document) == files.revision() != first

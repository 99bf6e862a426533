"""What is written for a server and what the server reads are declared twice, and are the same."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from tasks.channels.backend import Wanted
from tasks.channels.deployment import DOCUMENT, Rollout, document_of
from tasks.channels.files import ChannelFiles
from tasks.serving import document
from tasks.serving.document import Document
from tasks.store.schema import SCHEMA, Newer


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


def test_a_document_without_a_schema_is_of_before(tmp_path):
    """A document that was written before there were schemas is read as what it says, at both ends."""
    files = ChannelFiles(tmp_path, "stage")
    files.document.write_bytes(b'{"max_images": 5, "max_request_mib": 2, "runtime": "litert", "version": 3}')
    assert files.wanted() == Wanted(3, "litert", 2, 5)
    assert vars(document.parse(files.document.read_bytes())) == vars(Wanted(3, "litert", 2, 5))


def test_a_document_of_a_newer_version_is_refused(tmp_path):
    """Nothing is done about a document whose meaning is not known: the line says what to do."""
    newer = json.dumps(Wanted(3).as_json() | {"schema": SCHEMA + 1, "meaning": "another"})
    files = ChannelFiles(tmp_path, "stage")
    files.document.write_text(newer)
    with pytest.raises(Newer, match=r"stage\.json was written by a newer Slipway .*: upgrade"):
        files.wanted()
    with pytest.raises(ValueError, match=r"it was written by a newer Slipway .*: upgrade"):
        document.parse(newer.encode())
    template = {"metadata": {"annotations": {DOCUMENT: newer}}}
    with pytest.raises(Newer, match=f"the annotation {DOCUMENT} of its Deployment was written by a newer"):
        assert Rollout({"spec": {"template": template}}, []).wanted


def test_documents_say_their_schema():
    """What a channel is told names the schema that it is written in, as a file and as an annotation."""
    assert json.loads(document_of(Wanted(3)))["schema"] == Wanted(3).as_json()["schema"] == SCHEMA

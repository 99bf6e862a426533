"""What a backend writes is what the server reads, by the same ids of place and revision."""

from __future__ import annotations

import json

import pytest

from tasks.channels.deployment import DOCUMENT, Rollout, document_of
from tasks.channels.files import ChannelFiles
from tasks.release.document import Wanted, place_id, revision_of
from tasks.store.schema import SCHEMA, Newer


@pytest.mark.parametrize("wanted", [Wanted(3), Wanted(4, "tensorflow", 1, 2, 3)])
def test_the_server_reads_what_is_wanted(wanted, tmp_path):
    """A document that the backend writes is parsed to the same values, and has the same ids for both."""
    files = ChannelFiles(tmp_path, "stage")
    files.want(wanted)
    assert vars(Wanted.parse(files.document.read_bytes())) == vars(wanted)
    assert files.wanted() == wanted
    assert place_id(files.document) == files.place_id
    first = files.revision()
    assert revision_of(files.document) == first
    files.want(wanted)
    assert revision_of(files.document) == files.revision() != first


@pytest.mark.parametrize("content", ['{"version": "3"}', '{"version": 3, "canary": 4}', "[" * 100_000, "{}"])
def test_what_the_server_refuses_is_no_wish(content, tmp_path):
    """A document that no server reconciles with cannot be read: it is not a wish of that version."""
    files = ChannelFiles(tmp_path, "stage")
    files.document.write_text(content)
    assert files.wanted() is None


def test_a_document_without_a_schema_is_of_before(tmp_path):
    """A document that was written before there were schemas is read as what it says, at both ends."""
    files = ChannelFiles(tmp_path, "stage")
    files.document.write_bytes(b'{"max_images": 5, "max_request_mib": 2, "runtime": "litert", "version": 3}')
    assert files.wanted() == Wanted(3, "litert", 2, 5)


def test_a_document_of_a_newer_version_is_refused(tmp_path):
    """Nothing is done about a document whose meaning is not known: the line says what to do."""
    newer = json.dumps(Wanted(3).as_json() | {"schema": SCHEMA + 1, "meaning": "another"})
    files = ChannelFiles(tmp_path, "stage")
    files.document.write_text(newer)
    with pytest.raises(Newer, match=r"stage\.json was written by a newer Slipway .*: upgrade"):
        files.wanted()
    template = {"metadata": {"annotations": {DOCUMENT: newer}}}
    with pytest.raises(Newer, match=f"the annotation {DOCUMENT} of its Deployment was written by a newer"):
        assert Rollout({"spec": {"template": template}}, []).wanted


def test_documents_say_their_schema():
    """What a channel is told names the schema that it is written in, as a file and as an annotation."""
    assert json.loads(document_of(Wanted(3)))["schema"] == Wanted(3).as_json()["schema"] == SCHEMA

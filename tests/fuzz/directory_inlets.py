"""What a directory server answers: its messages, and the entries of its people."""

from collections.abc import Mapping, Sequence

import ldap
from hostile import TEXT, spoilt
from hypothesis import strategies as st
from inlet import Inlet
from ldap.syncrepl import SyncInfoMessage

from tasks.doors.ldap import Settings
from tasks.doors.ldap.people import person_of, seen
from tasks.doors.ldap.refresh import Synchronization
from tasks.doors.ldap.servers import SERVERS
from worker.directory.failures import DirectoryFailed, translated
from worker.directory.messages import said

# Sync Info messages (RFC 4533 section 2.5): a cookie; the ends of a phase; ids of the present, and of the deleted.
MESSAGES = [
    b"\x80\x07rid=000",
    b"\xa1\x0c\x04\x07rid=000\x01\x01\x00",
    b"\xa2\x09\x04\x07rid=000",
    b"\xa3\x14\x31\x12\x04\x10" + bytes(range(16)),
    b"\xa3\x17\x01\x01\xff\x31\x12\x04\x10" + bytes(range(16)),
]
_BASE = {"kind": "ldap", "url": "ldaps://ldap.example.com", "base": "dc=example,dc=com"}
SETTINGS = [Settings.model_validate({**_BASE, "server": name}) for name in SERVERS]
NAMES = sorted({each.lower() for server in SERVERS.values() for each in (*server.attributes, *server.user_names)})


def _heard(message: bytes) -> object:
    """What the log may say of it: how many people, or why none."""
    heard = Synchronization("rid=000")
    try:
        with translated():
            told = [*said(ldap.RES_INTERMEDIATE, [(SyncInfoMessage.responseName, message, [])], lambda _: None)]
    except DirectoryFailed as failed:
        return str(failed)
    return [(len(news.present), len(news.deleted), news.is_whole) for each in told if (news := heard.hear(each))]


def _known(attributes: Mapping[str, Sequence[bytes]]) -> object:
    """Whether it can be told who that is; by what they are called is nobody's to read."""
    people = [person_of(attributes, each) for each in SETTINGS]
    return [each and (len(bytes.fromhex(each.person_id)), seen(None, each)[0].is_active) for each in people]


_values = st.lists(st.binary(max_size=40) | TEXT.map(lambda text: text.encode(errors="replace")), max_size=3)
DIRECTORIES = [
    Inlet("directory, message", spoilt(MESSAGES) | st.binary(max_size=60), _heard, lambda body: body),
    Inlet(
        "directory, entry",
        st.dictionaries(st.sampled_from(NAMES), _values, max_size=len(NAMES)),
        _known,
        lambda body: {name: [body] for name in NAMES},
    ),
]

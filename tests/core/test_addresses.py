import pytest

from sightsmith.core.addresses import without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://h/a", "rtsp://h/a"),
        ("rtsp://me:x@[::1]:554/a?b=1", "rtsp://***@[::1]:554/a?***"),
        ("rtsp://me:p/a#s?s@w@h/a", "rtsp://***@h/a"),
        ("http://h/live?token", "http://h/live?***"),
        ("rtsp://h/cam/user=me_password=x&channel=1", "rtsp://h/cam/user=***&channel=***"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    assert without_secrets(address) == shown

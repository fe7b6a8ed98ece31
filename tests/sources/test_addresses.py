"""What is said of addresses: never a password."""

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.sources.addresses import redacted, stem_of
from hrpose_rt.sources.open import expand, open_source


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rtsp://host/1", "rtsp://host/1"),
        ("rtsp://admin:secret@host:554/1", "rtsp://host:554/1"),
        ("rtsp://admin:se#cret@host/1", "rtsp://host/1"),
        ("rtsp://admin:se/cret@host/1", "rtsp://host/1"),
        ("rtsp://admin:se?cret@host/1", "rtsp://host/1"),
        ("rtsp://admin:se@cret@host/1", "rtsp://host/1"),
        ("rtsp://admin:s[ecret@host/1", "rtsp://host/1"),
        ("http://host/v?user=admin&pwd=secret", "http://host/v?user=...&pwd=..."),
        ("http://host/v?secret", "http://host/v?..."),
        ("http://host/v?user=admin;pwd=secret#secret", "http://host/v?user=...&pwd=..."),
        ("http://host/v?pwd=sec@ret", "http://..."),  # of the query, or of the password
        ("rtsp://host/user=admin_password=secret_channel=1", "rtsp://host/user=..."),
        ("rtsp:/admin:secret@host/1", "rtsp:/host/1"),
        ("admin:secret@host/1?pwd=secret", "host/1?pwd=..."),
        ("folder/me@home.mp4", "folder/me@home.mp4"),
        ("folder/a:b.mp4", "folder/a:b.mp4"),
        ("what?.mp4", "what?.mp4"),
    ],
)
def test_address_redacts_user_password_and_query_values(name: str, said: str) -> None:
    assert redacted(name) == said


@pytest.mark.parametrize(
    ("url", "stem"),
    [
        ("rtsp://admin:secret@cam.local/1", "cam-local"),
        ("rtsp://admin:sec/ret@cam.local/1", "cam-local"),
        ("http://[::1]:80/v", "--1"),
        ("http://[::1", "stream"),
        ("http://host/v?pwd=sec@ret", "stream"),
    ],
)
def test_address_file_stem_is_host_name_without_password(url: str, stem: str) -> None:
    assert stem_of(url) == stem


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rtsp://admin:s[ecret@127.0.0.1:9/1", r"has a \[ in its user name or password: write it %5B$"),
        ("http://admin:se#cret@127.0.0.1:9/1", r"\(.*\): a # in a password is written %23$"),
        ("http://admin:se/cret@127.0.0.1:9/1", r"\(.*\): a / in a password is written %2F$"),
        ("http://admin:secret@127.0.0.1:9/1", r"\(Connection refused\): check the address$"),
        ("http://127.0.0.1:9/1?pwd=secret", r"^http://127.0.0.1:9/1\?pwd=\.\.\. does not answer"),
        ("ftp://admin:secret@host/1", "^ftp://host/1 is no address that can be played"),
        ("rtsp:/admin:secret@host/1", "^rtsp:/host/1 does not exist"),
        ("admin:secret@host/1", "^host/1 does not exist"),
        ("http://[::1", r"^http://\[::1 does not answer"),
    ],
)
def test_address_errors_never_contain_password(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as error:
        open_source(url)
    assert error.value.__cause__ is None  # a traceback would tell it, too
    assert not {"admin", "secret", "cret"} & set(str(error.value).replace("/", " ").split())
    assert "cret" not in str(error.value)


def test_glob_without_match_redacts_password_in_error() -> None:
    with pytest.raises(BadInput, match=r"^nothing matches host/1: check the pattern"):
        expand(["admin:secr*t@host/1"])

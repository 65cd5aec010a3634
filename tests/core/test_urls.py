"""Hold what URLs give, and that no error shows their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocache_core import urls
from aiocache_core.exceptions import InvalidCacheType

if TYPE_CHECKING:
    from ssl import SSLContext

KNOWN: dict[str, Any] = {
    "endpoint": str,
    "port": int,
    "db": int,
    "username": str | None,
    "password": str | None,
    "pool_max_size": int | None,
    "ssl": bool,
    "timeout": float | None,
    "key_builder": type(len),
}


def read(url: str, known: Any = KNOWN) -> dict[str, Any]:
    return urls.options(urls.split(url), known, path="db")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://", {}),
        ("redis://localhost", {"endpoint": "localhost"}),
        ("redis://localhost/", {"endpoint": "localhost"}),
        ("redis://localhost:6379", {"endpoint": "localhost", "port": 6379}),
        ("redis://localhost:0", {"endpoint": "localhost", "port": 0}),
        ("redis://localhost/1", {"endpoint": "localhost", "db": 1}),
        ("redis://localhost/1/", {"endpoint": "localhost", "db": 1}),
        ("redis://[::1]:6379/1", {"endpoint": "::1", "port": 6379, "db": 1}),
        ("redis://[fe80::1%25eth0]", {"endpoint": "fe80::1%eth0"}),
        ("redis:///?ssl=true", {"ssl": True}),
        (
            "redis://h?pool_max_size=3&ssl=no&timeout=1.5",
            {"endpoint": "h", "pool_max_size": 3, "ssl": False, "timeout": 1.5},
        ),
        ("redis://:pw@h", {"endpoint": "h", "password": "pw"}),
        ("redis://me:pw@h", {"endpoint": "h", "username": "me", "password": "pw"}),
        ("redis://me@h", {"endpoint": "h", "username": "me"}),
        ("redis://m%40e:p%2F%3A%23%25w@h", {"endpoint": "h", "username": "m@e", "password": "p/:#%w"}),
        ("redis://:p+w@h", {"endpoint": "h", "password": "p+w"}),
        ("redis://:pw@h?password=other", {"endpoint": "h", "password": "pw"}),
        ("redis://h?password=p%26w", {"endpoint": "h", "password": "p&w"}),
        ("redis://:none@h", {"endpoint": "h", "password": "none"}),
        ("redis://h?pool_max_size=none", {"endpoint": "h", "pool_max_size": None}),
    ],
)
def test_a_url_gives_options(url: str, options: dict[str, Any]) -> None:
    found = read(url)
    assert found == options
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in options.items()
    }


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_what_was_encoded_is_decoded(user: str, password: str, namespace: str) -> None:
    url = f"redis://{quote(user, safe='')}:{quote(password, safe='')}@h?{urlencode({'namespace': namespace})}"
    assert read(url, {**KNOWN, "namespace": str}) == {
        "endpoint": "h",
        "username": user,
        "password": password,
        "namespace": namespace,
    }


@pytest.mark.parametrize("url", ["", "redis", "redis:", "redis:host", "//host", "://host", "s3cret"])
def test_a_url_begins_with_a_scheme(url: str) -> None:
    with pytest.raises(InvalidCacheType, match=r"must begin with the name of a backend and '://'") as raised:
        urls.split(url)
    assert "s3cret" not in str(raised.value)


def test_a_url_is_text() -> None:
    with pytest.raises(TypeError, match=r"must be text such as .* not bytes"):
        urls.split(b"redis://h")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret/x@h",
        "redis://:12/s3cret@h",
        "redis://:s3cret#x@h",
        "redis://:12#s3cret@h",
        "redis://:s3cret?x@h",
        "redis://:12?s3cret@h",
        "redis://:12?s3cret=x@h",
        "redis://h:s3cret",
        "redis://h:99999999?password=s3cret",
        "redis://[s3cret",
        "redis://:s3cret@[::1",
        "redis://:s3cret℀@h",
        "redis://:pw@h/s3cret",
        "redis://:pw@h?s3cret",
        "redis://:pw@h?port=s3cret",
        "redis://:pw@h?ssl=s3cret",
        "redis://:pw@h?timeout=s3cret",
        "redis://:pw@h?key_builder=s3cret",
        "redis://:pw@h?password=s3cret&password=s3cret",
        "redis://:pw@h?s3cret-s3cret=1",
    ],
)
def test_no_error_shows_a_secret(url: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        read(url)
    error: BaseException | None = raised.value
    assert "s3cret" not in str(error)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    "url", ["redis://:p/w@h", "redis://:p#w@h", "redis://:12/w@h", "redis://h?a", "redis://h?password=a@b"]
)
def test_an_ambiguous_url_says_to_encode(url: str) -> None:
    with pytest.raises(ValueError, match="percent-encode the special characters"):
        read(url)


def test_an_unknown_option_tells_the_known() -> None:
    with pytest.raises(TypeError, match=r"unknown option, 'dbb'; these can be given: endpoint, port, db, .*timeout$"):
        read("redis://h?dbb=1")
    with pytest.raises(TypeError, match="unknown option, 'endpoint'; these can be given: none"):
        read("memory://h", {})


def test_text_of_another_type_tells_what_was_expected() -> None:
    with pytest.raises(ValueError, match="'db' in a cache's URL must be an integer; what was given is not shown"):
        read("redis://h/x")
    with pytest.raises(ValueError, match="'ssl' in a cache's URL must be true or false"):
        read("redis://h?ssl=maybe")
    with pytest.raises(ValueError, match="'timeout' in a cache's URL must be none or a number"):
        read("redis://h?timeout=x")
    with pytest.raises(TypeError, match="'key_builder' cannot be given in a URL; pass it by keyword"):
        read("redis://h?key_builder=x")


def test_a_path_needs_an_option_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"a memcached URL has no path; write memcached://host:port\?name=value"):
        urls.options(urls.split("memcached://h/1"), KNOWN)
    assert urls.options(urls.split("memcached://h/"), KNOWN) == {"endpoint": "h"}


def test_a_class_tells_its_options_and_those_of_every_cache_are_known() -> None:
    class Store:
        def __init__(
            self, *, endpoint: str = "h", port: int = 1, tls: SSLContext | bool = False, **more: Any
        ) -> None: ...

    class Typed:
        def __init__(self, *args: Any, size: int | str = 1, anything: Any = None, untold=None) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - that is the case

    assert list(urls.parameters(Store)) == ["endpoint", "port", "tls"]
    assert urls.parameters(Typed) == {"size": int | str, "anything": Any, "untold": str}
    found = urls.options(
        urls.split("x://h?size=2&anything=a&untold=b&ttl=5&namespace=n&serializer=json"),
        {**urls.FRONT, **urls.parameters(Typed), "endpoint": str},
    )
    assert found == {
        "endpoint": "h",
        "size": 2,
        "anything": "a",
        "untold": "b",
        "ttl": 5.0,
        "namespace": "n",
        "serializer": "json",
    }
    assert urls.options(urls.split("x://?timeout=none&size=big"), Typed) == {"timeout": None, "size": "big"}
    assert urls.parameters(lambda one, two: None) == {"one": str, "two": str}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:s3cret@host:6379/1?password=s3cret", "redis://***@host:6379/1"),
        ("redis://:s3cret@host", "redis://***@host"),
        ("redis://s3cret@[::1]:6379/0", "redis://***@[::1]:6379/0"),
        ("redis://:s3cret@s3cret@host", "redis://***@host"),
        ("redis://host:0", "redis://host:0"),
        ("redis://", "redis://"),
        ("rediss+x://:s3cret/x@host", "rediss+x://***"),
        ("redis://:12/s3cret@host", "redis://***"),
        ("redis://:12?s3cret@host", "redis://***"),
        ("redis://:12#s3cret@host", "redis://***"),
        ("redis://host#s3cret", "redis://***"),
        ("redis://:s3cret", "redis://***"),
        ("redis://[s3cret", "redis://***"),
        ("s3cret", "***"),
        ("s3cret@host", "***"),
        ("redis:s3cret@host", "***"),
        (":s3cret://", "***"),
        ("://s3cret", "***"),
    ],
)
def test_what_may_be_shown_of_a_url(url: str, shown: str) -> None:
    assert urls.redact(url) == shown

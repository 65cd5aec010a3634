"""Hold what names resolve to, and the errors that say what to type instead."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import aiocache_core.registry as registry_module
from aiocache_core import registry
from aiocache_core.backend import CONTRACT, Backend
from aiocache_core.exceptions import InvalidCacheType, NotInstalled, PluginConflict, PluginLoadError
from aiocache_core.plugins import HitMissRatioPlugin, TimingPlugin
from aiocache_core.serializers import JsonSerializer, NullSerializer, PickleSerializer, StringSerializer
from tests.core.fakes import Installed, backend

ROOT = Path(__file__).parents[2]
SOURCE = str(Path(registry_module.__file__).parents[1])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    distributions = Installed(tmp_path, monkeypatch)
    yield distributions
    distributions.leave()


def fails(kind: registry.Kind, spec: object) -> InvalidCacheType:
    with pytest.raises(InvalidCacheType) as raised:
        registry.resolve(kind, spec)
    return raised.value


# -- the core's own names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("serializers", "null", NullSerializer),
        ("serializers", "string", StringSerializer),
        ("serializers", "json", JsonSerializer),
        ("serializers", "pickle", PickleSerializer),
        ("serializers", "json@aiocache-core", JsonSerializer),
        ("serializers", "json@AIOCACHE_core", JsonSerializer),
        ("plugins", "timing", TimingPlugin),
        ("plugins", "hit_miss_ratio", HitMissRatioPlugin),
    ],
)
def test_a_built_in_name_gives_its_class(kind: registry.Kind, name: str, expected: type) -> None:
    assert registry.resolve(kind, name) is expected


def test_memory_is_a_backend() -> None:
    assert registry.resolve("backends", "memory").__name__ == "MemoryCache"


@pytest.mark.parametrize("kind", get_args(registry.Kind))
def test_the_built_in_names_are_declared_as_entry_points_too(kind: registry.Kind) -> None:
    project = tomllib.loads((ROOT / "packages/aiocache-core/pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"][f"aiocache.{kind}"] == registry.BUILT_IN[kind]


@pytest.mark.parametrize("kind", get_args(registry.Kind))
def test_every_known_name_is_offered_by_its_distribution(kind: registry.Kind) -> None:
    for name, distribution in registry.KNOWN[kind].items():
        project = tomllib.loads((ROOT / "packages" / distribution / "pyproject.toml").read_text("utf-8"))["project"]
        assert name in project["entry-points"][f"aiocache.{kind}"]


def test_importing_it_and_built_in_or_dotted_names_import_no_metadata() -> None:
    program = (
        "import sys; before = set(sys.modules); from aiocache_core import registry; "
        "registry.resolve('serializers', 'json'); registry.resolve('backends', 'memory'); "
        "registry.resolve('plugins', 'timing'); "
        "registry.resolve('serializers', 'aiocache_core.serializers.JsonSerializer'); "
        "print(sorted(m for m in set(sys.modules) - before "
        "if m.startswith(('importlib.metadata', 'importlib_metadata'))))"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_built_in_name_is_reserved(installed: Installed) -> None:
    installed.add(
        "aiocache-foreign", serializers={"json": "foreign_a:Json"}, modules={"foreign_a": "raise RuntimeError"}
    )
    assert registry.resolve("serializers", "json") is JsonSerializer
    assert registry.names("serializers").count("json") == 1
    message = str(fails("serializers", "json@aiocache-foreign"))
    assert "belongs to aiocache-core" in message
    assert "aiocache-foreign" in message


# -- names of other distributions ------------------------------------------------------------------------------------


def test_an_entry_point_gives_its_class(installed: Installed) -> None:
    installed.add("aiocache-mine", backends={"mine": "mine_a:Store"}, modules={"mine_a": backend()})
    found = registry.resolve("backends", "mine")
    assert found.__module__ == "mine_a"
    assert issubclass(found, Backend)
    assert registry.resolve("backends", "mine@aiocache-mine") is found
    assert registry.resolve("backends", "mine@Aiocache.Mine") is found


def test_a_cache_class_names_its_backend(installed: Installed) -> None:
    source = backend() + "\nclass MineCache:\n    backend_class = Store\n"
    installed.add("aiocache-mine", backends={"mine": "mine_b:MineCache"}, modules={"mine_b": source})
    assert registry.resolve("backends", "mine").__name__ == "MineCache"


def test_only_the_plugin_asked_for_is_imported(installed: Installed) -> None:
    installed.add("aiocache-good", serializers={"good": "good_c:S"}, modules={"good_c": "class S: dumps = loads = len"})
    installed.add("aiocache-bad", serializers={"bad": "bad_c:S"}, modules={"bad_c": "raise SystemExit('no')"})
    assert registry.resolve("serializers", "good").__module__ == "good_c"
    assert "bad_c" not in sys.modules
    assert {"good", "bad"} <= set(registry.names("serializers"))
    assert "bad_c" not in sys.modules


def test_what_was_installed_after_the_first_look_is_found(installed: Installed) -> None:
    fails("serializers", "late")
    installed.add("aiocache-late", serializers={"late": "late_d:S"}, modules={"late_d": "class S: dumps = loads = len"})
    assert registry.resolve("serializers", "late").__module__ == "late_d"


def test_an_unknown_name_tells_the_nearest_and_what_is_installed(installed: Installed) -> None:
    installed.add("aiocache-mine", backends={"minedb": "mine_e:Store"})
    error = fails("backends", "mindb")
    assert type(error) is InvalidCacheType
    assert str(error) == (
        "there is no backend 'mindb'; did you mean 'minedb'? Installed: memory, minedb. "
        "Not installed: memcached (pip install aiocache-memcached), redis (pip install aiocache-redis)."
    )


@pytest.mark.parametrize("name", ["Redis", "REDIS", "rediss"])
def test_names_are_lower_case(installed: Installed, name: str) -> None:
    assert "did you mean 'redis'?" in str(fails("backends", name))


def test_a_kind_of_which_everything_known_is_installed_tells_no_more(installed: Installed) -> None:
    assert str(fails("plugins", "Timing")).endswith("did you mean 'timing'? Installed: hit_miss_ratio, timing.")


@pytest.mark.parametrize("name", ["", " ", "@", "@x", "nothing like any"])
def test_a_name_like_no_other_is_an_error_that_tells_what_is_installed(installed: Installed, name: str) -> None:
    assert "Installed: json, null, pickle, string." in str(fails("serializers", name))


@pytest.mark.parametrize("name", ["redis", "redis@aiocache-redis"])
def test_a_known_name_that_is_absent_tells_the_line_to_type(installed: Installed, name: str) -> None:
    error = fails("backends", name)
    assert isinstance(error, NotInstalled)
    assert isinstance(error, ImportError)
    assert str(error) == "the backend 'redis' is not installed: pip install aiocache-redis"


def test_another_distribution_may_offer_a_known_name(installed: Installed) -> None:
    installed.add("other-redis", backends={"redis": "other_f:Store"}, modules={"other_f": backend()})
    assert registry.resolve("backends", "redis").__module__ == "other_f"
    error = fails("backends", "redis@aiocache-redis")
    assert str(error) == "aiocache-redis offers no backend 'redis'; installed: redis@other-redis"


def test_two_distributions_with_one_name_are_told_and_chosen_from(installed: Installed) -> None:
    installed.add("aiocache-redis", backends={"redis": "one_g:Store"}, modules={"one_g": backend()})
    installed.add("other-redis", backends={"redis": "two_g:Store"}, modules={"two_g": backend()})
    error = fails("backends", "redis")
    assert isinstance(error, PluginConflict)
    assert str(error) == (
        "aiocache-redis and other-redis both offer a backend 'redis'; "
        "write 'redis@aiocache-redis' or 'redis@other-redis'"
    )
    assert registry.resolve("backends", "redis@aiocache-redis").__module__ == "one_g"
    assert registry.resolve("backends", "redis@other_redis").__module__ == "two_g"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import a_module_that_is_nowhere", ModuleNotFoundError),
        ("raise RuntimeError('broken inside')", RuntimeError),
        ("raise SystemExit(3)", SystemExit),
        ("", AttributeError),
    ],
)
def test_one_that_cannot_be_imported_tells_cause_distribution_and_version(
    installed: Installed, source: str, cause: type[BaseException]
) -> None:
    installed.add("aiocache-broken", "2.5", backends={"broken": "broken_h:Store"}, modules={"broken_h": source})
    error = fails("backends", "broken")
    assert isinstance(error, PluginLoadError)
    assert isinstance(error, ImportError)
    assert isinstance(error.__cause__, cause)
    assert "the backend 'broken' of aiocache-broken 2.5 cannot be imported" in str(error)
    assert f"{cause.__name__}: {error.__cause__}" in str(error)


# -- what a name may lead to -----------------------------------------------------------------------------------------


def test_a_contract_that_is_newer_says_to_upgrade_the_core(installed: Installed) -> None:
    source = backend(f"contract={CONTRACT + 1}")
    installed.add("aiocache-new", "3.0", backends={"new": "new_i:Store"}, modules={"new_i": source})
    error = fails("backends", "new")
    assert isinstance(error, PluginLoadError)
    assert f"the backend 'new' of aiocache-new 3.0 speaks contract version {CONTRACT + 1}" in str(error)
    assert f"1 to {CONTRACT}: pip install -U aiocache-core" in str(error)
    assert isinstance(fails("backends", "new_i.Store"), PluginLoadError)
    assert isinstance(fails("backends", sys.modules["new_i"].Store), PluginLoadError)


def test_a_contract_that_is_too_old_says_to_upgrade_the_plugin(installed: Installed) -> None:
    installed.add("aiocache-past", backends={"past": "past_j:Store"}, modules={"past_j": backend("contract=0")})
    assert str(fails("backends", "past")).endswith("speaks 1 to 1: pip install -U aiocache-past")
    assert str(fails("backends", "past_j.Store")).endswith("upgrade the distribution that it comes from")


def test_abilities_that_tell_no_contract_are_told(installed: Installed) -> None:
    source = backend().replace("Abilities()", "object()")
    installed.add("aiocache-odd", backends={"odd": "odd_k:Store"}, modules={"odd_k": source})
    assert "speaks contract version None" in str(fails("backends", "odd"))


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("backends", "odd_l:Other", "must be a subclass of aiocache_core.Backend, or one of aiocache_core.Cache"),
        ("backends", "odd_l:Half", "must be a subclass of aiocache_core.Backend"),
        ("backends", "odd_l", "it is an object of module"),
        ("backends", "odd_l:made", "it is an object of Store: name the class, not an instance of it"),
        ("backends", "odd_l:function", "it is an object of function"),
        ("serializers", "odd_l:Other", "must be a class with the methods dumps and loads"),
        ("serializers", "odd_l:serializer", "it is an object of S: name the class, not an instance"),
        ("plugins", "odd_l:other", "it is an object of Other: name the class, not an instance"),
    ],
)
def test_something_else_says_what_was_expected(installed: Installed, kind: str, target: str, expected: str) -> None:
    source = backend() + (
        "\nclass Other: pass\nclass Half: backend_class = None\nclass S: dumps = loads = len\n"
        "def function(): ...\nmade, other, serializer = Store(), Other(), S()\n"
    )
    installed.add("aiocache-odd", **{kind: {"odd": target}}, modules={"odd_l": source})  # type: ignore[arg-type]
    error = fails(kind, "odd")  # type: ignore[arg-type]
    assert isinstance(error, PluginLoadError)
    assert "'odd' of aiocache-odd 1.0" in str(error)
    assert expected in str(error)


def test_a_class_is_checked_and_given_back() -> None:
    assert registry.resolve("serializers", JsonSerializer) is JsonSerializer
    error = fails("backends", object)
    assert type(error) is InvalidCacheType
    assert str(error).startswith("the class builtins.object must be a subclass of aiocache_core.Backend")


@pytest.mark.parametrize("spec", [None, 1, JsonSerializer(), ["json"]])
def test_an_object_is_no_name(spec: object) -> None:
    message = str(fails("serializers", spec))
    assert "by a name such as 'null' or by its class" in message
    assert type(spec).__name__ in message


@pytest.mark.parametrize(
    "url", ["redis://user:s3cret@host:6379/0", "redis:s3cret@host", "//:s3cret@host", "s3cret/host"]
)
def test_a_url_is_no_name_and_is_not_shown(url: str) -> None:
    message = str(fails("backends", url))
    assert "Cache.from_url" in message
    assert "s3cret" not in message


# -- dotted names ----------------------------------------------------------------------------------------------------


def test_a_dotted_name_gives_its_class(installed: Installed) -> None:
    installed.add("application", modules={"application_m": backend()})
    assert registry.resolve("backends", "application_m.Store") is sys.modules["application_m"].Store


@pytest.mark.parametrize(
    ("name", "cause", "told"),
    [
        ("no_such_module_at_all.Store", ModuleNotFoundError, "no_such_module_at_all"),
        ("application_n.Absent", AttributeError, "Absent"),
        ("application_n.inner.Absent", ModuleNotFoundError, "application_n"),
        (".Store", ValueError, "cannot be imported"),
        ("application_n.", AttributeError, "cannot be imported"),
        ("broken_n.Store", RuntimeError, "RuntimeError: broken inside"),
    ],
)
def test_a_dotted_name_that_leads_nowhere_keeps_the_cause(
    installed: Installed, name: str, cause: type[Exception], told: str
) -> None:
    modules = {"application_n": backend(), "broken_n": "raise RuntimeError('broken inside')"}
    installed.add("application", modules=modules)
    error = fails("backends", name)
    assert isinstance(error, PluginLoadError)
    assert isinstance(error.__cause__, cause)
    assert told in str(error)
    assert "memory" in str(error)


def test_a_dotted_name_of_another_kind_says_what_was_expected() -> None:
    assert "must be a class with the methods" in str(fails("serializers", "aiocache_core.backend.Abilities"))


def test_a_dotted_name_in_an_absent_distribution_of_ours_tells_the_line_to_type(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.KNOWN["backends"], "faraway", "aiocache-faraway")
    error = fails("backends", "aiocache_faraway.FarawayCache")
    assert isinstance(error, NotInstalled)
    assert str(error).endswith("pip install aiocache-faraway")


def test_an_error_of_ours_from_a_dotted_name_is_passed_on(installed: Installed) -> None:
    source = (
        "from aiocache_core.exceptions import NotInstalled\n"
        "def __getattr__(name): raise NotInstalled('pip install aiocache[redis]')\n"
    )
    installed.add("aiocache", "1.0", modules={"aiocache": source})
    error = fails("backends", "aiocache.RedisCache")
    assert isinstance(error, NotInstalled)
    assert str(error) == "pip install aiocache[redis]"


# -- an aiocache before 1.0 beside this core -------------------------------------------------------------------------

OLD = """
__version__ = "0.12.3"
class SimpleMemoryCache: pass
class PickleSerializer: dumps = loads = len
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("backends", "aiocache.SimpleMemoryCache"),
        ("serializers", "aiocache.PickleSerializer"),
        ("backends", "aiocache.RedisCache"),
        ("backends", "aiocache.backends.redis.RedisCache"),
        ("backends", "application_o.Mine"),
    ],
)
def test_a_class_of_an_old_aiocache_says_to_upgrade(installed: Installed, kind: registry.Kind, name: str) -> None:
    installed.add("aiocache", "0.12.3", modules={"aiocache": OLD})
    application = "import aiocache\nclass Mine(aiocache.SimpleMemoryCache): pass"
    installed.add("application", modules={"application_o": application})
    message = str(fails(kind, name))
    assert name in message
    assert "aiocache 0.12.3" in message
    assert message.endswith("pip install -U aiocache")


def test_an_old_aiocache_is_noticed(installed: Installed) -> None:
    assert registry.old_aiocache() is None
    installed.add("aiocache", "0.12.3")
    assert registry.old_aiocache() == "0.12.3"


def test_this_aiocache_is_not_old(installed: Installed) -> None:
    installed.add("aiocache", "1.0.0")
    assert registry.old_aiocache() is None


def test_an_aiocache_without_a_version_is_not_old(installed: Installed) -> None:
    installed.add("aiocache", "0.1")
    (metadata,) = Path(installed.paths[0]).glob("*.dist-info/METADATA")
    metadata.write_text("Metadata-Version: 2.1\nName: aiocache\n")
    assert registry.old_aiocache() is None


# -- schemes and configurations --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_a_scheme_leads_to_its_backend(installed: Installed, scheme: str) -> None:
    installed.add("aiocache-redis", backends={"redis": "redis_p:Store"}, modules={"redis_p": backend()})
    assert registry.resolve_scheme(scheme).__module__ == "redis_p"


def test_a_backend_of_the_schemes_name_goes_first(installed: Installed) -> None:
    installed.add("aiocache-redis", backends={"redis": "redis_q:Store"}, modules={"redis_q": backend()})
    installed.add("aiocache-valkey", backends={"valkey": "valkey_q:Store"}, modules={"valkey_q": backend()})
    assert registry.resolve_scheme("valkey").__module__ == "valkey_q"


@pytest.mark.parametrize("scheme", ["", "aiocache_core.backend.Backend", "redis@aiocache-redis"])
def test_a_scheme_is_no_dotted_name(scheme: str) -> None:
    with pytest.raises(InvalidCacheType, match="begins with the name of a backend"):
        registry.resolve_scheme(scheme)


def test_a_scheme_of_an_absent_backend_tells_the_line_to_type(installed: Installed) -> None:
    with pytest.raises(NotInstalled, match="pip install aiocache-redis"):
        registry.resolve_scheme("rediss")


def test_build_makes_objects_of_names_and_configurations() -> None:
    assert isinstance(registry.build("serializers", "json"), JsonSerializer)
    configuration: dict[str, Any] = {"class": "pickle", "protocol": 4}
    assert registry.build("serializers", configuration).protocol == 4
    assert configuration == {"class": "pickle", "protocol": 4}
    assert isinstance(registry.build("plugins", {"class": TimingPlugin}), TimingPlugin)
    plugin = TimingPlugin()
    assert registry.build("plugins", plugin) is plugin


def test_a_configuration_needs_a_class() -> None:
    with pytest.raises(InvalidCacheType, match=r"needs the entry 'class' .*\['protocol'\]"):
        registry.build("serializers", {"protocol": 4})

"""Settings: their sources, their conversion, and an environment that must not change after it was read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pallasite.config import Config, Environ, EnvironError, environ
from pallasite.datastructures import URL, CommaSeparatedStrings, Secret

#: Write the file of settings, and return its path.
EnvFile: TypeAlias = Callable[..., Path]


@pytest.fixture
def env_file(tmp_path: Path) -> EnvFile:
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / ".env"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_environment_comes_before_the_file_and_the_file_before_the_default(env_file: EnvFile) -> None:
    config = Config(env_file("A=file\nB=file\n"), environ={"A": "environment"})
    assert [config(name, default="default") for name in "ABC"] == ["environment", "file", "default"]
    assert config.get("C", default=None) is None


def test_file_is_read_line_by_line(env_file: EnvFile) -> None:
    path = env_file(
        """
        # COMMENT=no
        PLAIN=value
        SPACES =  a b
        SINGLE='a # b'
        DOUBLE="x=y"
        QUOTE="
        UNEVEN="a'
        EMPTY=
        no equals sign
        AGAIN=1
        AGAIN=2
        """
    )
    assert Config(path, environ={}).file_values == {
        "PLAIN": "value",
        "SPACES": "a b",
        "SINGLE": "a # b",
        "DOUBLE": "x=y",
        "QUOTE": '"',
        "UNEVEN": "\"a'",
        "EMPTY": "",
        "AGAIN": "2",
    }


def test_file_can_be_named_by_text_and_have_another_encoding(env_file: EnvFile) -> None:
    path = env_file("NAME=é", "latin-1")
    assert Config(str(path), environ={}, encoding="latin-1")("NAME") == "é"


def test_file_that_is_missing_is_warned_about(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'nowhere.env' not found"):
        config = Config("nowhere.env", environ={"A": "1"})
    assert config("A") == "1"
    with pytest.warns(UserWarning, match="not found"):
        Config(tmp_path)


@pytest.mark.parametrize(
    ("text", "cast", "value"),
    [
        ("5", int, 5),
        ("a,b", CommaSeparatedStrings, ["a", "b"]),
        ("https://example.org/", URL, URL("https://example.org/")),
        ("x", lambda text: text * 2, "xx"),
        ("x", None, "x"),
        ("true", bool, True),
        ("False", bool, False),
        ("1", bool, True),
        ("0", bool, False),
    ],
)
def test_value_is_cast(text: str, cast: Any, value: Any) -> None:
    found = Config(environ={"NAME": text})("NAME", cast=cast)
    assert (list(found) if cast is CommaSeparatedStrings else found) == value


def test_secret_is_not_shown() -> None:
    secret = Config(environ={"KEY": "hush"})("KEY", cast=Secret)
    assert (str(secret), repr(secret)) == ("hush", "Secret('**********')")


def test_default_is_cast_and_none_is_not() -> None:
    config = Config(environ={})
    assert config("N", cast=int, default="5") == 5
    assert config("N", cast=int, default=None) is None
    assert config("N", cast=bool, default=True) is True
    assert config("N", default="") == ""


@pytest.mark.parametrize(
    ("text", "cast", "message"),
    [
        ("five", int, "Config 'NAME' has value 'five'. Not a valid int."),
        ("Yes", bool, "Config 'NAME' has value 'yes'. Not a valid bool."),
        ("", bool, "Config 'NAME' has value ''. Not a valid bool."),
    ],
)
def test_value_that_cannot_be_cast_is_a_value_error(text: str, cast: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Config(environ={"NAME": text})("NAME", cast=cast)
    assert str(caught.value) == message


def test_cast_without_a_name_is_shown_as_it_is() -> None:
    class Cast:
        def __call__(self, value: Any) -> None:
            raise TypeError("never")

        def __repr__(self) -> str:
            return "<Cast>"

    with pytest.raises(ValueError, match="Not a valid <Cast>") as caught:
        Config(environ={"NAME": "x"})("NAME", cast=Cast())
    assert isinstance(caught.value.__cause__, TypeError)


def test_value_that_is_set_nowhere_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="Config 'NAME' is missing, and has no default"):
        Config(environ={})("NAME")


def test_prefix_is_put_before_every_name(env_file: EnvFile) -> None:
    config = Config(env_file("APP_B=file\nB=other"), environ={"APP_A": "1", "A": "2"}, env_prefix="APP_")
    assert (config("A"), config("B")) == ("1", "file")
    with pytest.raises(KeyError, match="APP_C"):
        config("C")


def test_environ_is_frozen_where_it_was_read() -> None:
    values = {"READ": "1", "OTHER": "1"}
    guarded = Environ(values)
    assert (guarded["READ"], len(guarded), sorted(guarded)) == ("1", 2, ["OTHER", "READ"])
    with pytest.raises(EnvironError, match="set environ\\['READ'\\]"):
        guarded["READ"] = "2"
    with pytest.raises(EnvironError, match="delete environ\\['READ'\\]"):
        del guarded["READ"]
    guarded["OTHER"] = "2"
    guarded["NEW"] = "3"
    del guarded["OTHER"]
    assert values == {"READ": "1", "NEW": "3"}


def test_environ_that_was_asked_for_in_vain_is_frozen_too() -> None:
    guarded = Environ({})
    assert guarded.get("MISSING") is None
    with pytest.raises(EnvironError):
        guarded["MISSING"] = "1"


def test_environ_is_the_processes_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALLASITE_TEST_SETTING", "here")
    assert environ["PALLASITE_TEST_SETTING"] == "here"
    assert Config()("PALLASITE_TEST_SETTING") == "here"
    assert Environ()._environ is os.environ


def test_config_keeps_what_it_was_given() -> None:
    values = {"A": "1"}
    config = Config(environ=values)
    assert config.environ is values
    assert config.file_values == {}

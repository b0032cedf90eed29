from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipita import config
from clipita.errors import ConfigError


def load(tmp_path: Path, text: str, **environ: str) -> config.Config:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return config.load(file, environ)


def test_no_file_and_no_environment_give_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load(environ={}) == config.Config()


def test_the_file_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clipita.toml").write_text("[model]\ndim = 64\n")
    assert config.load(environ={}).model.dim == 64


def test_precedence(tmp_path: Path) -> None:
    text = '[opensearch]\nurl = "http://file:9200"\nindex = "from-file"\nusername = "file"\n'
    settings = load(tmp_path, text, CLIPITA_OPENSEARCH_URL="http://env:9200", CLIPITA_OPENSEARCH_INDEX="from-env")
    flagged = config.override(settings.opensearch, index="from-flag", url=None)
    assert (flagged.index, flagged.url, flagged.username) == ("from-flag", "http://env:9200", "file")
    assert flagged.timeout == 30.0


def test_override_keeps_false_and_zero() -> None:
    assert config.override(config.TrainingConfig(unfreeze=True), unfreeze=False, seed=0).unfreeze is False
    assert config.override(config.FieldsConfig(), image="").image == ""


def test_the_environment_is_the_process_s_own_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPITA_SEARCH_WEIGHT", "0.25")
    assert config.load().search.weight == 0.25


def test_paths_of_the_file_start_at_its_folder(tmp_path: Path) -> None:
    settings = load(tmp_path, '[catalogue]\ntrain = "a/train.parquet"\nvalid = "/abs/valid.parquet"\n')
    assert settings.catalogue.train == tmp_path / "a/train.parquet"
    assert settings.catalogue.valid == Path("/abs/valid.parquet")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[opensaerch]\n", "unknown section [opensaerch]. Did you mean opensearch?"),
        ("[zzz]\n", "Known: fields, catalogue"),
        ("[model]\ndims = 3\n", "unknown key dims. Did you mean dim?"),
        ("[search]\nwieght = 0.5\n", "Did you mean weight?"),
        ('[model]\ndim = "256"\n', "[model] dim is '256'. Expected: a whole number"),
        ("[model]\ndim = 1.5\n", "Expected: a whole number"),
        ("[model]\ndim = true\n", "Expected: a whole number"),
        ("[training]\nunfreeze = 1\n", "Expected: true or false"),
        ("[opensearch]\ntimeout = true\n", "Expected: a number"),
        ("[catalogue]\ntrain = 3\n", "Expected: a path"),
        ('[fields]\nattributes = "colour"\n', "Expected: a list of texts"),
        ("[fields]\nattributes = [1]\n", "Expected: a list of texts"),
        ('[training]\nloss = "trees"\n', "Expected: one of: tree, infonce."),
        ('[search]\nlexical = "query.json"\n', "Expected: a table"),
        ("model = 3\n", "must be a table"),
        ("[model\n", "is not valid TOML"),
        ('[opensearch]\npassword = "secret"\n', "a password does not belong in this file"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)
    assert "settings.toml" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration file.*clipita init"):
        config.load(tmp_path / "none.toml", {})


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path, {})
    (tmp_path / "latin.toml").write_bytes(b'[fields]\ntitle = "T\xeftle"\n')
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "latin.toml", {})


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("CLIPITA_MODEL_DIM", "64", "model", "dim", 64),
        ("CLIPITA_TRAINING_LEARNING_RATE", "1e-4", "training", "learning_rate", 1e-4),
        ("CLIPITA_OPENSEARCH_TIMEOUT", "5", "opensearch", "timeout", 5.0),
        ("CLIPITA_TRAINING_UNFREEZE", "true", "training", "unfreeze", True),
        ("CLIPITA_OPENSEARCH_VERIFY_CERTS", "0", "opensearch", "verify_certs", False),
        ("CLIPITA_SEARCH_FIELDS", "title, brand ,", "search", "fields", ("title", "brand")),
        ("CLIPITA_CATALOGUE_TRAIN", "a.parquet", "catalogue", "train", Path("a.parquet")),
        ("CLIPITA_SEARCH_MODE", "vector", "search", "mode", "vector"),
        ("CLIPITA_OPENSEARCH_PASSWORD", "secret", "opensearch", "password", "secret"),
        ("CLIPITA_FIELDS_IMAGE", "", "fields", "image", ""),
    ],
)
def test_environment_types(tmp_path: Path, variable: str, text: str, section: str, key: str, value: Any) -> None:
    found = getattr(getattr(load(tmp_path, "", **{variable: text}), section), key)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("variable", "text"),
    [("CLIPITA_MODEL_DIM", "many"), ("CLIPITA_TRAINING_UNFREEZE", "perhaps"), ("CLIPITA_SEARCH_MODE", "magic")],
)
def test_unusable_environment(tmp_path: Path, variable: str, text: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        load(tmp_path, "", **{variable: text})


def test_the_password_is_in_no_repr(tmp_path: Path) -> None:
    assert "secret" not in repr(load(tmp_path, "", CLIPITA_OPENSEARCH_PASSWORD="secret"))

"""Code from a model repository: refused, asked for, passed on, and run at its commit alone."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ftadvise_trainer import commands, consent, models, scoring, training
from ftadvise_trainer.config import Config, ModelConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.remote_code import allowed, split
from ftadvise_trainer.settings.file import load_config

ROOT = Path(__file__).parents[2]
TINY = ROOT / "examples" / "tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAMED = f"org/model@{COMMIT}"


class Reached(Exception):
    """Stands for the rest of a run."""


@dataclasses.dataclass
class Outcome:
    final: Path | None = None
    exit_code: int = 0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what remote code a run is allowed, instead of running it."""
    found: list[Any] = []

    def train(config: Config, **how: Any) -> Outcome:
        found.append(how["remote_code"])
        return Outcome()

    monkeypatch.setattr(training, "train", train)
    return found


def run(folder: Path, *arguments: str, revision: str = COMMIT) -> Result:
    text = (TINY / "training.yaml").read_text().replace("config: model", "name_or_path: org/model")
    text = text.replace("tokenizer: model", f'revision: "{revision}"')
    text = text.replace("train.jsonl", str(TINY / "train.jsonl"))
    text = text.replace("eval.jsonl", str(TINY / "eval.jsonl"))
    (folder / "t.yaml").write_text(text)
    group = click.Group()
    commands.register_commands(group)
    return CliRunner().invoke(group, ["train", str(folder / "t.yaml"), *arguments])


@pytest.mark.parametrize(
    "form",
    ["org/model", "org/model@main", "org/model@v1.0", f"org/model@{COMMIT[:7]}", f"@{COMMIT}",
     f"org/model@{COMMIT}0", f"org/model@{'g' * 40}", f"org/model@{COMMIT.upper()}", "", NAMED + "\n",
     "yes", f"a b@{COMMIT}", f"a@b@{COMMIT}"],
)  # fmt: skip
def test_a_name_without_a_whole_commit_is_refused(
    form: str, tmp_path: Path, calls: list[Any]
) -> None:
    result = run(tmp_path, "--remote-code", form)
    assert isinstance(result.exception, TrainError)
    assert "NAME@REVISION with a commit of 40 hexadecimal digits" in result.exception.message
    assert result.exception.exit_code == 2
    assert calls == []


def test_another_model_or_commit_than_that_of_the_yaml_is_refused(
    tmp_path: Path, calls: list[Any]
) -> None:
    for form in (f"org/other@{COMMIT}", f"org/model@{'b' * 40}"):
        result = run(tmp_path, "--remote-code", form)
        assert isinstance(result.exception, TrainError)
        assert f"but the model is 'org/model' at '{COMMIT}'" in result.exception.message
    assert "at 'main'" in str(run(tmp_path, "--remote-code", NAMED, revision="main").exception)
    assert calls == []


def test_a_folder_is_no_revision(tmp_path: Path) -> None:
    config = Config(
        model=ModelConfig(name_or_path="org/model", revision=COMMIT), path=str(tmp_path / "t.yaml")
    )
    assert allowed(config, NAMED)["trust_remote_code"] is True
    (tmp_path / "org" / "model").mkdir(parents=True)
    with pytest.raises(TrainError, match="a folder is no revision"):
        allowed(config, NAMED)


@pytest.mark.parametrize("key", ["trust_remote_code", "remote_code", "code_revision"])
@pytest.mark.parametrize("section", ["model", "training"])
def test_no_file_can_allow_it(key: str, section: str) -> None:
    with pytest.raises(TrainError) as caught:
        load_config(TINY / "training.yaml", [f"{section}.{key}=true"])
    assert "only --remote-code NAME@REVISION does" in str(caught.value)


def test_without_a_terminal_the_option_is_the_consent(tmp_path: Path, calls: list[Any]) -> None:
    assert run(tmp_path).exit_code == 0
    assert run(tmp_path, "--remote-code", NAMED).exit_code == 0
    assert calls == [None, NAMED]


def test_on_a_terminal_it_asks_and_takes_yes_alone_for_consent(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool, bool]] = []
    answer = False

    def confirm(text: str, default: bool, err: bool) -> bool:
        asked.append((text, default, err))
        return answer

    def terminal(*arguments: str) -> Result:
        return run(tmp_path, *arguments)

    monkeypatch.setattr(consent, "at_terminal", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    refused = terminal("--remote-code", NAMED)
    assert isinstance(refused.exception, TrainError)
    assert refused.exception.exit_code == 2
    assert calls == []
    answer = True
    assert terminal("--remote-code", NAMED).exit_code == 0
    assert calls == [NAMED]
    question = f"Run the code of org/model at {COMMIT}, with all your rights?"
    assert asked == [(question, False, True)] * 2
    assert terminal("--remote-code", NAMED, "--yes").exit_code == 0
    assert terminal("--yes").exit_code == 0
    assert calls == [NAMED, NAMED, None]
    assert len(asked) == 2
    monkeypatch.setenv("RANK", "0")
    several = terminal("--remote-code", NAMED)
    assert isinstance(several.exception, TrainError)
    assert "--yes" in several.exception.hint


def test_the_run_passes_it_to_everything_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []

    def noting(real: Any) -> Any:
        def call(*arguments: Any, remote_code: str | None = None, **how: Any) -> Any:
            passed.append(remote_code)
            return real(*arguments, **how)

        return call

    def load_model(*arguments: Any, remote_code: str | None = None) -> Any:
        passed.append(remote_code)
        raise Reached

    monkeypatch.setattr(models, "family_of", noting(models.family_of))
    monkeypatch.setattr(training, "load_tokenizer", noting(models.load_tokenizer))
    monkeypatch.setattr(models, "load_model", load_model)
    config = load_config(TINY / "training.yaml", [f"training.output_dir={tmp_path}"])
    with pytest.raises(Reached):
        training.train(config, stream=io.StringIO(), remote_code=NAMED)
    assert passed == [NAMED] * 3


def test_the_final_model_is_loaded_with_the_code_it_was_trained_with(tmp_path: Path) -> None:
    config = load_config(TINY / "training.yaml")
    with pytest.raises(TrainError, match="remote code is allowed for 'org/model'"):
        scoring.load(tmp_path, config, NAMED)
    assert split(NAMED) == ("org/model", COMMIT)


MODELING = """
from pathlib import Path
from transformers import Qwen2Config, Qwen2ForCausalLM
class OurConfig(Qwen2Config):
    model_type = "ours"
class OurModel(Qwen2ForCausalLM):
    config_class = OurConfig
"""


def model_with_code(folder: Path) -> None:
    """Make the model of the example one that says that its code lies beside it."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    shape = json.loads((TINY / "model" / "config.json").read_text())
    model: Any = Qwen2ForCausalLM(Qwen2Config(**shape))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(TINY / "model").save_pretrained(folder)
    made = json.loads((folder / "config.json").read_text())
    code = {"AutoConfig": "modeling.OurConfig", "AutoModelForCausalLM": "modeling.OurModel"}
    made |= {"model_type": "ours", "architectures": ["OurModel"], "auto_map": code}
    (folder / "config.json").write_text(json.dumps(made))


# One process for the three commands: each would load torch and transformers.
THREE = """
import json, sys
from pathlib import Path
from click.testing import CliRunner
from ftadvise.cli import main
command = ["train", "t.yaml", "--set", "training.num_train_epochs=1"]
found = []
for more in ((), (*sys.argv[1:], "--dry-run"), sys.argv[1:]):
    result = CliRunner().invoke(main, [*command, *more])
    found.append([result.exit_code, result.stdout, result.stderr, Path("modules").exists()])
print(json.dumps(found))
"""


def test_code_in_a_folder_runs_neither_without_the_option_nor_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    model_with_code(folder)
    ran = tmp_path / "ran"
    (folder / "modeling.py").write_text(f"open({str(ran)!r}, 'w')\n{MODELING}")
    text = (TINY / "training.yaml").read_text().replace("config: model", "name_or_path: own")
    text = text.replace("tokenizer: model", f'revision: "{COMMIT}"')
    text = text.replace("train.jsonl", str(TINY / "train.jsonl"))
    (tmp_path / "t.yaml").write_text(text.replace("eval.jsonl", str(TINY / "eval.jsonl")))
    monkeypatch.chdir(tmp_path)
    group = click.Group()
    commands.register_commands(group)
    said: list[str] = []
    for option in ((), ("--remote-code", f"own@{COMMIT}")):
        for dry in ((), ("--dry-run",)):
            result = CliRunner().invoke(group, ["train", "t.yaml", *option, *dry])
            assert isinstance(result.exception, TrainError)
            assert result.exception.exit_code == 2
            said.append(result.exception.message)
    assert all("brings code of its own" in message for message in said[:2])
    assert all("what lies in a folder is no revision" in message for message in said[2:])
    assert not ran.exists()
    assert not list(tmp_path.glob("checkpoints/**/checkpoint-*"))


def test_a_model_that_brings_code_trains_and_its_final_loads_again(tmp_path: Path) -> None:
    """The real thing, from a cache of the hub, in a process without the network."""
    cache = tmp_path / "hub" / "models--org--model"
    folder = cache / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (cache / "refs").mkdir()
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    environment["HF_HUB_CACHE"] = str(tmp_path / "hub")

    model_with_code(folder)
    (folder / "modeling.py").write_text(MODELING)
    text = (TINY / "training.yaml").read_text().replace("config: model", "name_or_path: org/model")
    text = text.replace("tokenizer: model", f'revision: "{COMMIT}"')
    rows = (TINY / "train.jsonl").read_text().splitlines()[:24]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    (tmp_path / "eval.jsonl").write_text(
        "\n".join((TINY / "eval.jsonl").read_text().splitlines()[:8])
    )
    (tmp_path / "t.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", THREE, "--remote-code", NAMED],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    refused, dry, trained = json.loads(done.stdout.splitlines()[-1])
    assert refused[0] == 2, refused
    assert refused[3] is False, "nothing of the model's code was copied to be run"
    assert "trained in an epoch" in dry[1], dry
    assert trained[0] == 0, trained
    final = tmp_path / "checkpoints" / "tiny" / "final"
    assert json.loads((final / "config.json").read_text())["model_type"] == "ours"
    assert (final / "modeling.py").read_text() == MODELING

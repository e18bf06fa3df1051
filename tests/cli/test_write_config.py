from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from ftadvise.cli import main, write_config
from ftadvise.config import layouts

ROOT = Path(__file__).resolve().parents[2]
CHAT = "examples/chat/trainer_state.json"
QWEN = "examples/qwen/training_metrics.json"

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "training.yaml"
    path.write_bytes(Path("examples/tiny/training.yaml").read_bytes())
    return path


def advised(log: str) -> dict[str, object]:
    told = json.loads(ft("analyze", log, "--format", "json").stdout)["recommendation"]
    gone = ("epochs_range", "expected_eval_loss", "probability_of_false_stop")
    return {key: value for key, value in told.items() if key not in gone}


def test_the_advice_goes_into_the_file_and_the_report_to_stdout(tiny: Path) -> None:
    before = yaml.safe_load(tiny.read_text())
    result = ft("analyze", CHAT, "--write-config", str(tiny))
    assert result.exit_code == 0
    assert result.stdout == ft("analyze", CHAT).stdout
    assert f"config: changed {tiny} (ftadvise)" in result.stderr
    assert "config:   num_train_epochs: 10 -> " in result.stderr
    after = yaml.safe_load(tiny.read_text())
    assert after["training"] == before["training"] | advised(CHAT)
    assert (after["model"], after["data"]) == (before["model"], before["data"])


def test_the_trainer_reads_what_was_written(tiny: Path) -> None:
    config_file = pytest.importorskip("ftadvise_trainer.settings.file")
    for name in ("train.jsonl", "eval.jsonl", "model"):
        (tiny.parent / name).symlink_to(ROOT / "examples" / "tiny" / name)
    ft("analyze", CHAT, "--write-config", str(tiny))
    training = config_file.load_config(tiny).training
    for key, value in advised(CHAT).items():
        assert getattr(training, key) == value


def test_a_second_run_changes_nothing_and_says_so(tiny: Path) -> None:
    ft("analyze", CHAT, "--write-config", str(tiny))
    first, when = tiny.read_bytes(), tiny.stat().st_mtime_ns
    result = ft("analyze", CHAT, "--write-config", str(tiny))
    assert f"config: {tiny} is as advised already" in result.stderr
    assert (tiny.read_bytes(), tiny.stat().st_mtime_ns) == (first, when)
    assert ft("analyze", CHAT, "--write-config", str(tiny), "--diff").stdout == ""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
def test_the_diff_is_all_there_is_on_stdout_and_patch_takes_it(
    tiny: Path, line_end: str, last: str
) -> None:
    raw = (tiny.read_text().rstrip() + last).replace("\n", line_end).encode()
    tiny.write_bytes(raw)
    command = [sys.executable, "-m", "ftadvise", "analyze", CHAT, "--write-config", str(tiny)]
    done = subprocess.run([*command, "--diff"], capture_output=True, check=True)
    assert tiny.read_bytes() == raw
    assert done.stdout.startswith(b"--- ")
    copy = tiny.with_name("copy.yaml")
    copy.write_bytes(raw)
    subprocess.run(["patch", "--binary", "-s", str(copy)], input=done.stdout, check=True)
    subprocess.run(command, capture_output=True, check=True)
    assert copy.read_bytes() == tiny.read_bytes() != raw


@pytest.mark.parametrize(
    ("text", "tool", "line"),
    [
        ("output_dir: x\nnum_train_epochs: 1\n", "hf", "num_train_epochs"),
        ("base_model: x\nevals_per_epoch: 4\n", "axolotl", "num_epochs"),
        ("finetuning_type: lora\n", "llama-factory", "num_train_epochs"),
    ],
)
def test_a_yaml_of_another_trainer_is_known_by_its_keys(
    tmp_path: Path, text: str, tool: str, line: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    result = ft("analyze", CHAT, "--write-config", str(path))
    assert f"({tool})" in result.stderr
    written = yaml.safe_load(path.read_text())
    assert written[line] == advised(CHAT)["num_train_epochs"]
    patience = advised(CHAT)["early_stopping_patience"]
    assert patience in (written.get("early_stopping_patience"), written.get("early_stopping_steps")) or (
        tool == "hf" and "EarlyStoppingCallback" in result.stderr
    )  # fmt: skip


def test_what_makes_the_epochs_void_is_said(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("num_train_epochs: 3\nmax_steps: 500\n")
    result = ft("analyze", CHAT, "--write-config", str(path))
    assert "note: max_steps: 500 overrules the number of epochs" in result.stderr


def test_a_file_that_cannot_be_edited_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("d: &d {eval_steps: 3}\ntraining:\n  <<: *d\n")
    result = ft("analyze", CHAT, "--write-config", str(path))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-2:] == [
        "error: line 3: training takes settings from elsewhere, through a << [FT434]",
        "hint: `ftadvise export LOG --to TOOL` prints the settings to paste by hand.",
    ]
    assert path.read_text() == "d: &d {eval_steps: 3}\ntraining:\n  <<: *d\n"


def test_nothing_is_written_when_a_log_cannot_be_read(tiny: Path) -> None:
    before = tiny.read_bytes()
    assert ft("analyze", CHAT, "nowhere.json", "--write-config", str(tiny)).exit_code == 2
    assert tiny.read_bytes() == before


def test_logs_of_different_fine_tunes_have_no_one_answer(tiny: Path) -> None:
    before = tiny.read_bytes()
    result = ft("analyze", CHAT, QWEN, "--write-config", str(tiny))
    assert result.exit_code == 2
    assert "runs of different fine-tunes, and one file holds one answer" in result.stderr
    assert tiny.read_bytes() == before


@pytest.mark.parametrize("args", [["--diff"], ["--to", "hf"]])
def test_options_of_writing_alone_are_refused(args: list[str]) -> None:
    result = ft("analyze", CHAT, *args)
    assert result.exit_code == 2
    assert "--diff and --to go with --write-config" in result.stderr


def test_the_tools_of_the_help_are_those_there_are() -> None:
    assert write_config.TOOLS == layouts.TOOLS


def test_analyze_without_a_file_to_write_loads_no_yaml() -> None:
    code = (
        f"import sys; sys.argv = ['ftadvise', 'analyze', {CHAT!r}]\n"
        "from ftadvise.cli import main\n"
        "try: main()\n"
        "except SystemExit: print([m for m in sys.modules if m.split('.')[0] == 'yaml'\n"
        "                         or m.startswith('ftadvise.config')])"
    )
    bare = {**os.environ, "FTADVISE_NO_PLUGINS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=bare, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"

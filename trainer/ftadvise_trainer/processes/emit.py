"""A job for a scheduler that runs the same `ftadvise train`: sbatch for SLURM, YAML for SkyPilot.

Both start one launcher on each host, which meet at host 0, and both go on after an interruption
from the newest checkpoint in the output folder, which all hosts have to see.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise_trainer.processes.launch import Launch

_GPUS = 8  # of a host, where nothing is said

_SLURM = """\
#!/bin/bash
# Printed by `ftadvise train --emit slurm`; submit it with `sbatch FILE` from the folder in which
# the command would run. Add --partition, --account and what else your cluster asks for.
#SBATCH --job-name=ftadvise
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}{gpus_note}
#SBATCH --time=24:00:00
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
# USR1 comes five minutes before the time is over: the run is saved, and queued again.

# source .venv/bin/activate

host=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
rdzv={rdzv}
stopping=0
stop() {{
    stopping=1
    scancel --signal=TERM "$SLURM_JOB_ID" || true # to the steps: each process saves and ends
}}
trap stop USR1 TERM

options=(--nproc {nproc} --nnodes "$SLURM_JOB_NUM_NODES" --rdzv "$rdzv" --max-restarts {restarts})
arguments=({arguments})
srun --kill-on-bad-exit=0 bash -c 'exec ftadvise train --node-rank "$SLURM_NODEID" "$@"' ftadvise \\
    "${{options[@]}}" "${{arguments[@]}}" &
step=$!
wait "$step"
status=$?
while ((stopping)) && kill -0 "$step" 2>/dev/null; do # a signal ends `wait`, not the step
    wait "$step"
    status=$?
done
if ((status == 143 || (stopping && status != 0))); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""

_SKYPILOT = """\
# Printed by `ftadvise train --emit skypilot`; start it with `sky jobs launch FILE`, which brings it
# up again when its machines are taken away.
name: ftadvise
num_nodes: {nodes}
workdir: .
resources:
  accelerators: H100:{gpus}{gpus_note}
# training.output_dir has to outlive the machines and be seen by all of them: mount a bucket, such as
# file_mounts:
#   /checkpoints: {{source: s3://BUCKET, mode: MOUNT_CACHED}}
# and add --output-dir /checkpoints/RUN below.
setup: |
  pip install 'ftadvise[train]'
run: |
  host=$(echo "$SKYPILOT_NODE_IPS" | head -n 1)
  exec ftadvise train --nproc {nproc} --nnodes "$SKYPILOT_NUM_NODES" \\
    --node-rank "$SKYPILOT_NODE_RANK" --rdzv {rdzv} --max-restarts {restarts} \\
    {arguments}
"""


def job(kind: str, launch: Launch, arguments: Sequence[str]) -> str:
    """Return the text of a job.

    Args:
        kind: `slurm` or `skypilot`.
        launch: Processes, hosts and restarts; `auto` or no `nproc` takes all GPUs of a host.
        arguments: Those of `ftadvise train`, without those of the launch.

    Raises:
        TrainError: FT501, something of it does not go with a job.
    """
    from ftadvise_trainer.processes.launch import check

    if "--no-resume" in arguments:
        raise TrainError(
            "--no-resume does not go with --emit: a job that is queued again has to go on",
            hint="Leave it out, and name a new folder with --output-dir.",
        )
    odd = [one for one in arguments if not one.isprintable()]
    if odd:
        raise TrainError(f"{clean(odd[0], 80)!r} cannot stand in a job: it has control characters")
    check(launch, meets=True)
    known = launch.nproc not in (None, "auto")
    rdzv = shlex.quote(launch.rdzv) if launch.rdzv else None
    values = {
        "nodes": launch.nnodes,
        "gpus": launch.nproc if known else _GPUS,
        "gpus_note": "" if known else " # as many as your hosts have",
        "nproc": launch.nproc if known else "auto",
        "restarts": launch.max_restarts,
        "arguments": " ".join(shlex.quote(one) for one in arguments),
    }
    if kind == "slurm":
        # A port of the job's own, below those that the kernel gives out by itself.
        own = '"$host:$((10000 + SLURM_JOB_ID % 20000))"'
        return _SLURM.format(**values, rdzv=rdzv or own)
    return _SKYPILOT.format(**values, rdzv=rdzv or '"$host:29500"')

#!/bin/bash
# Printed by `ftadvise train --emit slurm`; submit it with `sbatch FILE` from the folder in which
# the command would run. Add --partition, --account and what else your cluster asks for.
#SBATCH --job-name=ftadvise
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8 # as many as your hosts have
#SBATCH --time=24:00:00
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
# USR1 comes five minutes before the time is over: the run is saved, and queued again.

# source .venv/bin/activate

host=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
rdzv="$host:$((10000 + SLURM_JOB_ID % 20000))"
stopping=0
stop() {
    stopping=1
    scancel --signal=TERM "$SLURM_JOB_ID" || true # to the steps: each process saves and ends
}
trap stop USR1 TERM

options=(--nproc auto --nnodes "$SLURM_JOB_NUM_NODES" --rdzv "$rdzv" --max-restarts 0)
arguments=(--set=training.seed=7 '--output-dir=my runs/'"'"'a'"'"'' -- training.yaml)
srun --kill-on-bad-exit=0 bash -c 'exec ftadvise train --node-rank "$SLURM_NODEID" "$@"' ftadvise \
    "${options[@]}" "${arguments[@]}" &
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

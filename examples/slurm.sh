#!/bin/bash
# Suites as tasks of one SLURM array, over one cache; the same command again goes on where the time ran out.
#   first=$(sbatch --parsable --array=0-1 examples/slurm.sh part.toml particlenet.toml)
#   sbatch --dependency=afterok:$first examples/slurm.sh both.toml     # takes all embeddings from the cache
#SBATCH --job-name=jetassay
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --output=jetassay-%A_%a.log
# For a GPU: #SBATCH --gres=gpu:1, and JETASSAY_DEVICE=cuda in the environment.
set -euo pipefail

suites=("$@")
suite=${suites[${SLURM_ARRAY_TASK_ID:-0}]:?"no suite for this task: name one for each index of --array"}
: "${JETASSAY_CACHE:?set it to a folder that every node sees}"
# Addresses and passwords: from a file that only you can read, not from `sbatch --export`, which the queue shows.
secrets=${JETASSAY_SECRETS:-$HOME/.config/jetassay/environment}
if [ -r "$secrets" ]; then set -a; . "$secrets"; set +a; fi
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
# exec, so that SIGTERM two minutes before the end reaches jetassay: it marks its run and keeps what is done.
exec jetassay run "$suite" --device "${JETASSAY_DEVICE:-cpu}"

#!/bin/bash
# What examples/htcondor.sub runs: one suite.
set -euo pipefail

suite=${1:?name a suite}
: "${JETASSAY_CACHE:?set it to a folder that every machine sees}"
# Addresses and passwords: from a file that only you can read, not from the submit file, which the queue shows.
secrets=${JETASSAY_SECRETS:-$HOME/.config/jetassay/environment}
if [ -r "$secrets" ]; then set -a; . "$secrets"; set +a; fi
export OMP_NUM_THREADS=${_CONDOR_NUM_CPUS:-${OMP_NUM_THREADS:-1}}
# exec, so that SIGTERM before an eviction reaches jetassay: it marks its run and keeps what is done.
exec jetassay run "$suite" --device "${JETASSAY_DEVICE:-cpu}"

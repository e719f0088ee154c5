#!/usr/bin/env bash
# Start a real Slurm cluster on this machine's loopback: one controller, N worker
# daemons ("nodes") of one core each, a partition `main`, no accounting.
#
#   eval "$(tests/slurm/start-cluster.sh 2)"   # exports SLURM_CONF, TABENCH_SLURM_DIR
#   sinfo                                          # two idle nodes
#   tests/slurm/stop-cluster.sh                # end it (by pid, nothing else)
#
# Needs root and Debian's packages: apt-get update && apt-get install -y slurm-wlm munge
# One node is killed with  kill -9 "$(cat "$TABENCH_SLURM_DIR/slurmd-n1.pid")"  and comes
# back with  slurmd -f "$SLURM_CONF" -N n1.
set -euo pipefail
nodes=${1:-2}
dir=${TABENCH_SLURM_DIR:-$(mktemp -d -t slurm.XXXXXX)}
mkdir -p "$dir/state" "$dir/log"
host=$(hostname)
{
  cat <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
AuthType=auth/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
SlurmdTimeout=20
CONF
  names=()
  for ((i = 0; i < nodes; i++)); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((16820 + i)) CPUs=1 RealMemory=6000 State=UNKNOWN"
    names+=("n$i")
  done
  echo "PartitionName=main Nodes=$(IFS=,; echo "${names[*]}") Default=YES MaxTime=INFINITE State=UP"
} >"$dir/slurm.conf"
export SLURM_CONF="$dir/slurm.conf"
if ! munge -n >/dev/null 2>&1; then
  mkdir -p /run/munge && chown munge: /run/munge
  [ -f /etc/munge/munge.key ] || mungekey -c >&2
  chown munge: /etc/munge/munge.key
  runuser -u munge -- munged >&2
fi
slurmctld -f "$SLURM_CONF" >&2
for ((i = 0; i < nodes; i++)); do slurmd -f "$SLURM_CONF" -N "n$i" >&2; done
for _ in $(seq 30); do
  [ "$(sinfo -h -t idle -o %D 2>/dev/null | awk '{s+=$1} END {print s+0}')" = "$nodes" ] && break
  sleep 1
done
sinfo >&2
echo "export SLURM_CONF=$SLURM_CONF TABENCH_SLURM_DIR=$dir"

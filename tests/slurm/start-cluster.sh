#!/usr/bin/env bash
# Start a real Slurm cluster on this machine's loopback: one controller, N worker
# daemons ("nodes") of one core each, no accounting, arrays of four elements at most.
#
#   eval "$(tests/slurm/start-cluster.sh 2)"   # exports SLURM_CONF, TABENCH_SLURM_DIR
#   sinfo                                      # two idle nodes
#   tests/slurm/stop-cluster.sh                # end it (by pid, nothing else)
#
# Partitions on the same nodes: `main` (the default); `low`, whose jobs are told with SIGTERM and queued
# again after a grace when a job of `high` wants their node; `low-now`, the same without a grace; `doomed`,
# whose jobs are cancelled instead.
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
MaxArraySize=4
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
CONF
  names=()
  for ((i = 0; i < nodes; i++)); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((16820 + i)) CPUs=1 RealMemory=6000 State=UNKNOWN"
    names+=("n$i")
  done
  all="Nodes=$(IFS=,; echo "${names[*]}") MaxTime=INFINITE State=UP"
  echo "PartitionName=main $all Default=YES PriorityTier=1 PreemptMode=OFF"
  echo "PartitionName=low $all PriorityTier=1 GraceTime=60"
  echo "PartitionName=low-now $all PriorityTier=1 GraceTime=0"
  echo "PartitionName=doomed $all PriorityTier=1 GraceTime=0 PreemptMode=CANCEL"
  echo "PartitionName=high $all PriorityTier=10 PreemptMode=OFF"
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
for _ in $(seq 120); do
  [ "$(sinfo -h -p main -t idle -o %D 2>/dev/null | awk '{s+=$1} END {print s+0}')" = "$nodes" ] && break
  sleep 1
done
sinfo >&2
echo "export SLURM_CONF=$SLURM_CONF TABENCH_SLURM_DIR=$dir"

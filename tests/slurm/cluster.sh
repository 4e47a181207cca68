#!/bin/sh
# A real Slurm of two virtual nodes on the loopback, for tests.
#
#   cluster.sh up|down|status|env [STATE_DIR]
#
#   up      install what is missing and start the daemons; exits with 77 and the reason where it cannot
#   down    cancel the jobs and stop the daemons
#   status  say what runs; exits with 0 only if everything does
#   env     print what a client needs: eval "$(cluster.sh env)"
#
# STATE_DIR (/tmp/slurm by default) holds configuration, keys, sockets, logs and the database.
# CLUSTER_PORT (17000) is the first of five TCP ports. Needs root on Debian or Ubuntu, but no systemd
# and no cgroups: CPUs and memory are counted, not enforced, and GPUs are only names.
set -eu

command=${1:-status}
state=${2:-/tmp/slurm}
port=${CLUSTER_PORT:-17000}
daemons='munged mariadbd slurmdbd slurmctld slurmd-node1 slurmd-node2'
packages='munge slurmctld slurmd slurm-client slurmdbd slurm-wlm-mysql-plugin mariadb-server'

PATH=$PATH:/usr/sbin:/sbin
SLURM_CONF=$state/etc/slurm.conf
export PATH SLURM_CONF

say() { echo "cluster.sh: $*" >&2; }
unavailable() {
    say "$*"
    exit 77
}
fail() {
    say "$*"
    tail -n 5 "$state"/log/*.log >&2 || true
    exit 1
}

# alive DAEMON: does it run, out of this state folder? A stale file must not make `down` stop a stranger.
alive() {
    pid=$(cat "$state/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] &&
        tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$state/"
}

# within SECONDS COMMAND...: does it succeed in that time?
within() {
    tries=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

gone() { ! alive "$1"; }
no_jobs() { [ -z "$(squeue -h)" ]; }
nodes_idle() { [ "$(sinfo -h -N -p debug -o %T | grep -c '^idle$')" = 2 ]; }
munge_works() { munge -n -S "$state/run/munge" | unmunge -S "$state/run/munge"; }
sql() { mariadb --no-defaults --socket="$state/run/mysql" -u root -e "$1"; }

stop() {
    alive "$1" || return 0
    kill "$pid"
    within 10 gone "$1" || kill -KILL "$pid"
}

install_packages() {
    missing=
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    # The packages must not start daemons of their own.
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    installed=yes
    # shellcheck disable=SC2086 # a list
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends $missing; } >"$state/log/apt.log" 2>&1 || installed=no
    [ -z "$policy" ] || rm -f "$policy"
    [ $installed = yes ] || unavailable "apt-get cannot install Slurm: $(tail -n 1 "$state/log/apt.log")"
}

configure() {
    host=$(hostname -s)
    head -c 1024 /dev/urandom >"$state/etc/munge.key"
    cat >"$SLURM_CONF" <<EOF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
# A requeued job starts again after cred_expire seconds (120 by default).
AuthInfo=socket=$state/run/munge,cred_expire=5
StateSaveLocation=$state/spool/slurmctld
SlurmdSpoolDir=$state/spool/%n
SlurmctldPidFile=$state/run/slurmctld.pid
SlurmdPidFile=$state/run/slurmd-%n.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
# The nodes' names do not resolve: the prolog says where rank 0 listens.
TaskProlog=$state/etc/task-prolog
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# The nodes claim more than the machine has.
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=5
# A job in "high" takes the place of one in "debug", which gets its --signal, 20 seconds, and is requeued.
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port + 1))
AccountingStoragePass=$state/run/munge
GresTypes=gpu
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=16 RealMemory=65536 Gres=gpu:2
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 4)) CPUs=16 RealMemory=65536 Gres=gpu:2
PartitionName=debug Nodes=ALL Default=YES MaxTime=1-0 PriorityTier=1 GraceTime=20
PartitionName=high Nodes=ALL MaxTime=1-0 PriorityTier=10 PreemptMode=OFF
EOF
    # Tasks are told which GPUs are theirs only where those are device files.
    echo 'Name=gpu File=/dev/null,/dev/zero' >"$state/etc/gres.conf"
    echo 'CgroupAutomount=no' >"$state/etc/cgroup.conf"
    printf '#!/bin/sh\necho export MASTER_ADDR=127.0.0.1\n' >"$state/etc/task-prolog"
    chmod 755 "$state/etc/task-prolog"
    cat >"$state/etc/slurmdbd.conf" <<EOF
AuthType=auth/munge
AuthInfo=socket=$state/run/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((port + 1))
SlurmUser=root
PidFile=$state/run/slurmdbd.pid
LogFile=$state/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 2))
StorageUser=slurm
StoragePass=local
StorageLoc=slurm
CommunicationParameters=NoInAddrAny
EOF
    chmod 600 "$state/etc/munge.key" "$state/etc/slurmdbd.conf"
    mariadb-install-db --no-defaults --datadir="$state/spool/mysql" --user=root --skip-test-db \
        --auth-root-authentication-method=socket >"$state/log/database.log" 2>&1 || fail 'no database could be made'
}

start_daemons() {
    munged --force --num-threads=2 --key-file="$state/etc/munge.key" --socket="$state/run/munge" \
        --pid-file="$state/run/munged.pid" --log-file="$state/log/munged.log" --seed-file="$state/spool/munge.seed"
    within 10 munge_works || fail 'munged did not come up'

    mariadbd --no-defaults --user=root --datadir="$state/spool/mysql" --socket="$state/run/mysql" \
        --pid-file="$state/run/mariadbd.pid" --bind-address=127.0.0.1 --port=$((port + 2)) --skip-name-resolve \
        --innodb-buffer-pool-size=32M --innodb-lock-wait-timeout=900 --log-error="$state/log/mariadbd.log" \
        >/dev/null 2>&1 &
    within 60 sql 'SELECT 1' || fail 'mariadbd did not come up'
    sql "CREATE USER IF NOT EXISTS slurm@127.0.0.1 IDENTIFIED BY 'local'; GRANT ALL ON slurm.* TO slurm@127.0.0.1"

    # Its command line names no path; by a link in the state folder the process is known again.
    ln -sf "$(command -v slurmdbd)" "$state/run/slurmdbd"
    "$state/run/slurmdbd"
    within 60 sacctmgr -n list cluster || fail 'slurmdbd did not come up'
    # slurmctld does not start for a cluster that the database does not know.
    sacctmgr -n list cluster format=Cluster | grep -qw local || sacctmgr -Q -i add cluster local >/dev/null

    slurmctld -f "$SLURM_CONF"
    slurmd -N node1 -f "$SLURM_CONF"
    slurmd -N node2 -f "$SLURM_CONF"
    within 60 nodes_idle || fail 'the nodes did not come up'
}

up() {
    [ "$(id -u)" = 0 ] || unavailable 'only root can start Slurm'
    command -v apt-get >/dev/null || unavailable 'apt-get, which installs Slurm, is not here'
    ! status >/dev/null || return 0
    umask 022
    for folder in etc log run spool/slurmctld spool/node1 spool/node2; do mkdir -p "$state/$folder"; done
    install_packages
    [ -e "$SLURM_CONF" ] || configure
    down # what an earlier failure left
    start_daemons
}

down() {
    if alive slurmctld; then
        scancel -f -p debug
        scancel -f -p high
        within 20 no_jobs || true
    fi
    for daemon in slurmd-node2 slurmd-node1 slurmctld slurmdbd mariadbd munged; do stop $daemon; done
}

status() {
    result=0
    for daemon in $daemons; do
        if alive "$daemon"; then
            echo "$daemon runs ($pid)"
        else
            echo "$daemon does not run"
            result=1
        fi
    done
    return $result
}

case $state in
/*) ;;
*) state=$(pwd)/$state SLURM_CONF=$(pwd)/$SLURM_CONF ;;
esac
case $command in
up | down | status) $command ;;
env) echo "export SLURM_CONF=$SLURM_CONF" ;;
*)
    say "usage: $0 up|down|status|env [STATE_DIR]"
    exit 2
    ;;
esac

#!/bin/sh
# Stands in for ssh between the hosts of hosts.py: ssh.sh [-option]... ADDRESS COMMAND...
# HOST_PIDS maps an address to a process on that host: "10.0.0.1=123 10.0.0.2=124". A program that is
# started at the port of -p finds it in PORT.
set -eu
while [ "${1#-}" != "$1" ]; do
    if [ "$1" = -p ]; then
        PORT=$2
        shift
    fi
    shift
done
address=$1
shift
for host in $HOST_PIDS; do
    if [ "${host%=*}" = "$address" ]; then
        # A login brings no variable of the caller along.
        exec nsenter --target "${host#*=}" --net --uts --mount \
            env -i HOME="$HOME" PATH=/usr/bin:/bin ${PORT:+"PORT=$PORT"} sh -c "$*"
    fi
done
echo "ssh.sh: $address is none of $HOST_PIDS" >&2
exit 255

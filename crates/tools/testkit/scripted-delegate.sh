#!/bin/sh
# A CNI plugin for tests. It is run through a link <dir>/bin/<type>, does what the files
# <dir>/script/<command>.{links,leave,daemon,hang,sleep,stdout,stderr,kill,exit} say, and records
# each call as <dir>/calls/<number>.{command,pid,env,stdin,read,links,left}. It starts as few
# programs as it can: tests call it thousands of times.
PATH=/usr/local/bin:/usr/bin:/bin
dir=${0%/*}/..
script=$dir/script/$CNI_COMMAND

# With -C the file is only made if it is not there, so each call has a number of its own.
set -C
number=1
until { printf %s "$CNI_COMMAND" >"$dir/calls/$number.command"; } 2>/dev/null; do
    number=$((number + 1))
done
set +C
call=$dir/calls/$number
echo $$ >"$call.pid"
# What the kernel was given: the shell's own view lacks names that are no identifiers.
cat "/proc/$$/environ" >"$call.env"
cat >"$call.stdin"
# All of it was read.
: >"$call.read"

if [ -e "$script.links" ]; then
    nsenter --net="$CNI_NETNS" cat /proc/net/dev >"$call.links"
fi
if [ -e "$script.leave" ]; then
    # It keeps every descriptor, as what a careless plugin starts. The time is read first: once the
    # process is noted the script may change.
    time=$(cat "$script.leave")
    if [ -e "$script.daemon" ]; then
        sleep "$time" </dev/null >/dev/null 2>&1 &
    else
        sleep "$time" &
    fi
    echo $! >"$call.part"
    mv "$call.part" "$call.left"
fi
if [ -e "$script.hang" ]; then
    # In the same process, so that nothing is left of it once that is killed.
    exec sleep 600
fi
if [ -e "$script.sleep" ]; then
    # A sleep that outlives a killed delegate must not hold its caller's pipes.
    sleep "$(cat "$script.sleep")" </dev/null >/dev/null 2>&1
fi
if [ -e "$script.stderr" ]; then
    cat "$script.stderr" >&2
fi
if [ -e "$script.stdout" ]; then
    cat "$script.stdout"
elif [ "$CNI_COMMAND" = ADD ]; then
    version=$(grep -aom 1 '"cniVersion" *: *"[^"]*"' "$call.stdin")
    # Of the first, if the line has several.
    version=${version#*:*\"}
    version=${version%%\"*}
    version=${version:-0.1.0}
    printf '{"cniVersion":"%s"' "$version"
    case $version in
    0.1.* | 0.2.*) ;;
    *) printf ',"interfaces":[{"name":"%s","sandbox":"%s"}],"ips":[]' "$CNI_IFNAME" "$CNI_NETNS" ;;
    esac
    printf '}\n'
fi
if [ -e "$script.kill" ]; then
    kill -"$(cat "$script.kill")" $$
fi
if [ -e "$script.exit" ]; then
    exit "$(cat "$script.exit")"
fi
exit 0

# Runs an engine that builds what somebody else wrote:
#
#   sh confine.sh NETWORK USERNS HIDDEN... -- KEPT... -- COMMAND...
#
# It is begun in a new mount namespace. The hidden folders (homes, /run) become empty,
# so that neither a step nor the engine finds logins, keys and sockets there; of what is
# hidden the kept folders stay, under their paths. Then it says its process ID, in new
# namespaces (network, ipc, uts; with USERNS "yes" a user namespace, too), and goes on at
# a line of standard input, once there is a network (NETWORK is "yes") and IDs are mapped.
# When standard input ends, as it does with libre however that ends, the whole process
# group is killed; and with its first process all that is in the engine's PID namespace.
set -eu

network=$1
userns=$2
shift 2
cd / # from a folder that is hidden, ".." leads to all that is

hidden=
while [ "$1" != -- ]; do
  hidden="$hidden$1
"
  shift
done
shift

# A descriptor reaches a folder when its path does not any more.
kept=
fd=3
while [ "$1" != -- ]; do
  eval "exec $fd<\"\$1\"; kept_$fd=\$1"
  kept="$kept $fd"
  fd=$((fd + 1))
  shift
done
shift

resolv=$(readlink -f /etc/resolv.conf || :)
settings=$(grep -E '^(search|domain|options)[[:space:]]' /etc/resolv.conf 2>/dev/null || :)
printf %s "$hidden" | while IFS= read -r folder; do
  [ -d "$folder" ] || continue # within one that is hidden already
  mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
for fd in $kept; do
  eval "folder=\$kept_$fd"
  mkdir -p "$folder"
  mount -c --rbind "/proc/self/fd/$fd" "$folder"
  eval "exec $fd<&-"
done
if [ "$network" = yes ] && [ -n "$resolv" ]; then
  # This machine's own may name an address on its loopback.
  printf 'nameserver 10.0.2.3\n%s\n' "$settings" >/run/resolv.conf
  mkdir -p "$(dirname "$resolv")"
  [ -e "$resolv" ] || : >"$resolv"
  mount --bind /run/resolv.conf "$resolv"
fi

new=
root=
if [ "$userns" = yes ]; then
  new='--user --keep-caps'
  root='--setuid 0 --setgid 0'
fi
# shellcheck disable=SC2086
exec unshare $new --net --ipc --uts -- sh -euc '
  root=$1
  shift
  echo $$
  read -r go
  exec 3<&0 </dev/null
  (
    trap "" HUP INT TERM
    cat <&3
    kill -KILL 0
  ) >/dev/null 2>&1 &
  exec 3<&-
  ip link set lo up 2>/dev/null || :
  exec unshare --mount --pid --fork --kill-child --mount-proc $root -- "$@"
' sh "$root" "$@"

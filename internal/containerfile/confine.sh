# Runs an engine that builds untrusted code:
#
#   sh confine.sh NETWORK USERNS HIDDEN... -- KEPT... -- COMMAND...
#
# It starts in a new mount namespace. The hidden folders (homes, /run) become empty, so
# that steps and engine find no credentials, keys and sockets there; the kept folders stay
# under their paths. Then it prints its process ID in new namespaces (network, ipc, uts,
# and user with USERNS "yes"), and waits for a line on standard input: libre has then
# connected the network (NETWORK "yes") and mapped the IDs. When standard input ends,
# because libre ended in any way, it kills the whole process group, and so everything in
# the engine's PID namespace.
set -eu

network=$1
userns=$2
shift 2
cd / # from inside a hidden folder, ".." would lead to its content

hidden=
while [ "$1" != -- ]; do
  hidden="$hidden$1
"
  shift
done
shift

# Open descriptors still reach the folders when their paths are hidden.
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
  [ -d "$folder" ] || continue # inside a hidden one
  mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
for fd in $kept; do
  eval "folder=\$kept_$fd"
  mkdir -p "$folder"
  mount -c --rbind "/proc/self/fd/$fd" "$folder"
  eval "exec $fd<&-"
done
if [ "$network" = yes ] && [ -n "$resolv" ]; then
  # This machine's own file may have a loopback address.
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

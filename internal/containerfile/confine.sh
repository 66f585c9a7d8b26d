# Runs an engine that builds what somebody else wrote:
#
#   sh confine.sh KEPT... -- COMMAND...
#
# It is begun in new namespaces (mount, network, ipc, uts), says its process ID, and
# goes on at a line of standard input, once there is a network or there will be none.
# Homes and /run are hidden, so that neither a step nor the engine finds logins, keys
# and sockets there; of what is hidden the kept folders stay, under their paths.
set -eu

echo $$
read -r network
exec </dev/null
cd / # from a folder that is hidden, ".." leads to all that is
ip link set lo up 2>/dev/null || :

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
for hidden in /root /home "${HOME:-/}" /run /tmp /var/tmp /dev/shm; do
  [ -d "$hidden" ] && [ "$hidden" != / ] || continue
  mount -t tmpfs -o mode=1777 tmpfs "$hidden"
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

exec unshare --pid --fork --kill-child --mount-proc -- "$@"

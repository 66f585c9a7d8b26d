# Installs missing packages of the distribution: Nix, git, buildah, and its tools to
# isolate steps. Adds the libre that flake.lock pins to the PATH of the following steps.
# nixpkgs needs Nix 2.18 or newer: Debian 13, Ubuntu 24.04.
set -euo pipefail

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

missing=()
for tool in nix:nix-bin git:git buildah:buildah runc:runc slirp4netns:slirp4netns newuidmap:uidmap; do
  PATH=$PATH:/usr/sbin:/sbin command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
done
if [ "${#missing[@]}" != 0 ]; then
  $as_root apt-get update --quiet
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends ca-certificates "${missing[@]}"
fi

if [ -n "$as_root" ]; then
  # Without the daemon the store belongs to this user, and the sandbox needs user
  # namespaces, which Ubuntu restricts.
  sudo install -d -o "$(id -u)" -g "$(id -g)" /nix
  sudo sysctl --quiet --ignore kernel.apparmor_restrict_unprivileged_userns=0
fi

export NIX_CONFIG="${NIX_CONFIG:-}
experimental-features = nix-command flakes
build-users-group ="

if ! nix flake metadata --no-update-lock-file . >/dev/null; then
  mark=::error:: # for Actions
  [ -z "${GITLAB_CI:-}" ] || mark='error: '
  echo "${mark}flake.lock does not pin all inputs of flake.nix: run \"nix flake lock\" and commit flake.lock"
  exit 1
fi
nix build --out-link "$RUNNER_TEMP/libre" --impure \
  --expr '(builtins.getFlake (toString ./.)).inputs.libre.packages.${builtins.currentSystem}.libre'
echo "$RUNNER_TEMP/libre/bin" >>"$GITHUB_PATH"

# A very small package set made from what a machine has: its Go toolchain, a
# static busybox and its CA bundle. It stands in for nixpkgs
# (`--package-set host`): the same names and arguments for what it has. The CLI
# puts host.json beside this file: the build system, and each part's store path. For
# metadata, which forces no package, it leaves that out.
{
  description = "libre's host package set";

  outputs = _: {
    legacyPackages = builtins.listToAttrs (map
      (system: { name = system; value = import ./. { inherit system; }; })
      [ "x86_64-linux" "aarch64-linux" ]);
  };
}

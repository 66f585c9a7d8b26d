# A small package set of nixpkgs' shape. The test puts a static busybox into bin/.
{
  outputs = _: {
    legacyPackages = builtins.listToAttrs (map
      (system: { name = system; value = import ./. { inherit system; }; })
      [ "x86_64-linux" "aarch64-linux" ]);
  };
}

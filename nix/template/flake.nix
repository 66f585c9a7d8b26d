{
  description = "A catalogue of web applications";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  # For plain `nix build`; libre itself evaluates with its embedded Nix code.
  inputs.libre.url = "github:libresh/libre";
  inputs.libre.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue {
    inherit nixpkgs;
    apps = ./apps;
    # The systems of the images that push publishes. nixpkgs builds the images of each
    # system on a machine of that system (--builders), or cross-compiles them if the
    # definition has crossFrom = "x86_64-linux". --package-set host compiles Go programs
    # for both x86_64-linux and aarch64-linux.
    systems = [ "x86_64-linux" ];
  };
}

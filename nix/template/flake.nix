{
  description = "A catalogue of web applications";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  # The CLI evaluates with the Nix code it carries; this is for plain `nix build`.
  inputs.libre.url = "github:libresh/libre";
  inputs.libre.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue {
    inherit nixpkgs;
    apps = ./apps;
    # What push builds for; Go programs are cross-compiled for "aarch64-linux".
    systems = [ "x86_64-linux" ];
  };
}

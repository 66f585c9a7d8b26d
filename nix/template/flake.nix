{
  description = "A catalogue of web applications";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  # The CLI evaluates with the Nix code it carries; this is for plain `nix build`.
  inputs.libre.url = "github:libresh/libre";
  inputs.libre.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue {
    inherit nixpkgs;
    apps = ./apps;
    # What push builds for. nixpkgs builds each system's images on a machine of that
    # system (--builders), or for all on this one where a definition has
    # crossFrom = "x86_64-linux"; --package-set host compiles Go programs for both.
    systems = [ "x86_64-linux" ];
  };
}

{
  description = "libre: container images of a catalogue of web applications";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs = { self, nixpkgs }:
    let
      lib = import ./nix;
      catalogue = lib.mkCatalogue { inherit nixpkgs; apps = ./apps; };
      forAll = f: builtins.listToAttrs (map
        (system: { name = system; value = f nixpkgs.legacyPackages.${system}; })
        catalogue.libre.systems);
      program = pkgs: import ./nix/program.nix { inherit pkgs; };
    in
    catalogue // {
      inherit lib;
      templates.default = {
        path = ./nix/template;
        description = "A catalogue with pocketbase and guestbook";
        welcomeText = ''
          `libre init` writes the same and the Go module files under their own
          names; here, type: for f in apps/*/*/*.in; do mv $f ''${f%.in}; done
        '';
      };
      packages = builtins.mapAttrs
        (system: images: images // rec { libre = program nixpkgs.legacyPackages.${system}; default = libre; })
        catalogue.packages;
      devShells = forAll (pkgs: {
        default = pkgs.mkShell { packages = [ pkgs.go pkgs.gnumake pkgs.buildah pkgs.runc pkgs.skopeo ]; };
      });
      # `nix fmt` formats every Nix file.
      formatter = forAll (pkgs: pkgs.nixfmt-tree);
      checks = forAll (pkgs: {
        libre = program pkgs;
        # Each attribute of schema.nix is in the reference, and nothing else.
        reference =
          if builtins.readFile ./docs/mkApp.md + "\n" == import ./nix/reference.nix then pkgs.writeText "reference" ""
          else throw "docs/mkApp.md is stale: UPDATE_GOLDEN=1 go test ./docs";
        # What `libre init` writes evaluates, and its metadata needs no package.
        template = pkgs.writeText "template.json" (builtins.toJSON
          (lib.mkCatalogue { nixpkgs = throw "metadata needs no package"; apps = ./nix/template/apps; }).libre.apps);
      });
    };
}

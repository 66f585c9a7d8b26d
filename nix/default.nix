# The library for catalogues: `mkCatalogue` for the flake, `mkApp` and the functions that
# change a source for the apps. It depends on nothing outside this folder, and uses
# nixpkgs only through the catalogue's own `pkgs`.
{
  mkApp = import ./mkApp.nix;
  mkCatalogue = import ./mkCatalogue.nix;
}
// import ./changes.nix

# What libre gives a catalogue: `mkCatalogue` for its flake, `mkApp` and the
# functions that change a source for its apps. Depends on nothing outside this
# folder; nixpkgs is only ever reached through the catalogue's own `pkgs`.
{
  mkApp = import ./mkApp.nix;
  mkCatalogue = import ./mkCatalogue.nix;
}
// import ./changes.nix

# A definition as people write it.
{ mkApp, pkgs, ... }:
mkApp rec {
  name = "docs";
  version = "5.4.1"; # keep in step with the chart
  packageVersion = 3;
  source = {
    github = "suitenumerique/docs";
    tag = "v${version}";
    hash = "sha256-Xomq2i1t1POgggcAR8FAWf+Lr0y6YOKGvANFOv/BH20=";
    date = "2026-07-09";
  };
  hashes.vendorHash = "sha256-p085Ru3csNpGDMeF5q+W23Mc30WwhF9zHv0U29aEp/w=";
  components.server = {
    package = { source, version, ... }: pkgs.buildGoModule { pname = "server"; inherit version; };
    ports.http = 8000;
  };
  meta.homepage = "https://docs.example/${name}";
}

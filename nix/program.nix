# libre and its helper libre-inspect, built with the package set's buildGoModule.
{ pkgs }:
let
  # The Go version of go.mod; buildGoModule downloads no other toolchain. A release branch
  # of nixpkgs may be some patch releases behind: then its go_1_26 is built from this
  # source. The hash is from go.dev/dl.
  goSource = {
    version = "1.26.8";
    hash = "sha256-Tjm5jkL5RvoFrIvFtxh335fb23y7Gnd7VBZnrXEX/S4=";
  };
  older = go: builtins.compareVersions go.version goSource.version < 0;
  newer = go: go.overrideAttrs (_: {
    inherit (goSource) version;
    src = pkgs.fetchurl {
      url = "https://go.dev/dl/go${goSource.version}.src.tar.gz";
      inherit (goSource) hash;
    };
  });
  buildGoModule =
    if pkgs ? go_1_26 then
      pkgs.buildGoModule.override { go = if older pkgs.go_1_26 then newer pkgs.go_1_26 else pkgs.go_1_26; }
    else if older pkgs.go then throw "libre needs Go ${goSource.version}, the package set has ${pkgs.go.version}"
    else pkgs.buildGoModule;
in
buildGoModule {
  pname = "libre";
  # The version is defined once, in the program.
  version = builtins.head (builtins.match ".*\nvar version = \"([^\"]+)\".*" (builtins.readFile ../internal/cli/version.go));
  # Only these folders: an edit elsewhere rebuilds nothing.
  src = builtins.path {
    path = ./..;
    name = "libre-source";
    filter = path: _:
      let top = builtins.head (builtins.match "([^/]+).*" (builtins.substring (builtins.stringLength (toString ./..) + 1) (-1) path));
      in builtins.elem top [ "cmd" "internal" "man" "nix" "go.mod" "go.sum" ];
  };
  vendorHash = "sha256-6HUxVZ0ZMJ5AuMJeSqNl8wMSJ6x/szH1yzEABCz6PSM=";
  subPackages = [ "cmd/libre" "cmd/libre-inspect" ];
  env.CGO_ENABLED = "0";
  doCheck = false;
  # Where man and the shells look for them: the pages are made by a test of internal/cli.
  postInstall = ''
    mkdir -p $out/share/man/man1 $out/share/bash-completion/completions $out/share/zsh/site-functions $out/share/fish/vendor_completions.d
    cp man/*.1 $out/share/man/man1
    if $out/bin/libre version >/dev/null 2>&1; then # not of another architecture
      $out/bin/libre completion bash > $out/share/bash-completion/completions/libre
      $out/bin/libre completion zsh > $out/share/zsh/site-functions/_libre
      $out/bin/libre completion fish > $out/share/fish/vendor_completions.d/libre.fish
    fi
  '';
  meta = { description = "Container images of a catalogue of web applications"; mainProgram = "libre"; };
}

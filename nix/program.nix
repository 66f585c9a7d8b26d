# libre and its helper libre-files, by the package set's buildGoModule.
{ pkgs }:
pkgs.buildGoModule {
  pname = "libre";
  version = "0.1.0";
  # By content of these folders alone: an edit elsewhere builds nothing anew.
  src = builtins.path {
    path = ./..;
    name = "libre-source";
    filter = path: _:
      let top = builtins.head (builtins.match "([^/]+).*" (builtins.substring (builtins.stringLength (toString ./..) + 1) (-1) path));
      in builtins.elem top [ "cmd" "internal" "nix" "go.mod" "go.sum" ];
  };
  vendorHash = "sha256-H1alSKAoot4AzJWbsCETlq52QwxX1Tu+knyBbTqJkpQ=";
  subPackages = [ "cmd/libre" "cmd/libre-files" ];
  env.CGO_ENABLED = "0";
  doCheck = false;
  meta = { description = "Container images of a catalogue of web applications"; mainProgram = "libre"; };
}

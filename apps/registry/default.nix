# CNCF Distribution: an OCI registry.
{ mkApp, ... }:
mkApp rec {
  name = "registry";
  version = "3.1.2";
  packageVersion = 1;

  source = {
    goModule = "github.com/distribution/distribution/v3";
    version = "v${version}";
    hash = "sha256-BL80Zg+QNyBQeQtaJcNnpc1ahzEBluhJ/dVPYOrRMrY=";
    date = "2026-09-24";
  };
  hashes.vendorHash = "sha256-/Zsjp+nbpJzfImLUNrdUBzF2I6f7aRtCNNYhzAaTwsQ=";

  components.server = {
    package = { buildGoModule, ... }: buildGoModule {
      subPackages = [ "cmd/registry" ];
      ldflags = [ "-X github.com/distribution/distribution/v3/version.version=v${version}" ];
      env.CGO_ENABLED = "0";
      doCheck = false;
    };
    entrypoint = [ "bin/registry" ];
    command = [ "serve" "/etc/distribution/config.yml" ];
    files."/etc/distribution/config.yml".source = ./config.yml;
    ports.http = 5000;
    health = "/";
    volumes = [ "/var/lib/registry" ];
  };

  needs.bucket.optional = true;
  migration.kind = "none";
  meta = {
    description = "OCI registry";
    homepage = "https://distribution.github.io/distribution";
    license = "Apache-2.0";
  };
}

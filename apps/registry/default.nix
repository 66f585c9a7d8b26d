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
    services.server.maxReplicas = 1; # the layers on one volume
  };

  needs = {
    data = { kind = "volume"; description = "Layers and manifests"; path = "/var/lib/registry"; size = "50Gi"; };
    # https://distribution.github.io/distribution/about/configuration/
    bucket = {
      optional = true;
      description = "Layers and manifests, in place of the volume";
      env = {
        REGISTRY_STORAGE = "s3";
        REGISTRY_STORAGE_S3_REGIONENDPOINT = "$(endpoint)";
        REGISTRY_STORAGE_S3_REGION = "$(region)";
        REGISTRY_STORAGE_S3_BUCKET = "$(name)";
        REGISTRY_STORAGE_S3_ACCESSKEY = "$(accessKey)";
        REGISTRY_STORAGE_S3_SECRETKEY = "$(secretKey)";
      };
    };
  };
  config = {
    REGISTRY_HTTP_SECRET = { description = "Signs the state of uploads; the same in all replicas"; secret = true; generate = true; };
    REGISTRY_HTTP_HOST = { description = "The address in its answers"; type = "url"; value = "$(url)"; };
    REGISTRY_LOG_LEVEL = { description = "What is logged"; default = "info"; values = [ "error" "warn" "info" "debug" ]; };
    REGISTRY_STORAGE_DELETE_ENABLED = { description = "Whether images can be deleted"; type = "boolean"; default = "true"; };
  };
  routes."/" = { service = "server"; maxBodySize = "0"; timeout = 3600; };
  backup.together = [ "data" ];
  migration.kind = "none";
  meta = {
    description = "OCI registry";
    homepage = "https://distribution.github.io/distribution";
    license = "Apache-2.0";
  };
}

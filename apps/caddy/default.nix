# Caddy: a web server, for static frontends.
{ mkApp, ... }:
mkApp rec {
  name = "caddy";
  version = "2.11.9";
  packageVersion = 1;

  source = {
    goModule = "github.com/caddyserver/caddy/v2";
    version = "v${version}";
    hash = "sha256-r3wY6ylResUi50hcsUIN9eR+I+O0Q2gz6uGwQZ10vI0=";
    date = "2026-11-04";
  };
  hashes.vendorHash = "sha256-qjLumZHCyoM+lNZtWOTmMlHN5zgB36fv9CkIq3ncMlM=";

  components.server = {
    package = { buildGoModule, ... }: buildGoModule {
      subPackages = [ "cmd/caddy" ];
      ldflags = [ "-X github.com/caddyserver/caddy/v2.CustomVersion=v${version}" ];
      env.CGO_ENABLED = "0";
      doCheck = false;
    };
    entrypoint = [ "bin/caddy" ];
    command = [ "run" "--config" "/etc/caddy/Caddyfile" ];
    files."/etc/caddy/Caddyfile".source = ./Caddyfile;
    env = { XDG_CONFIG_HOME = "/config"; XDG_DATA_HOME = "/data"; };
    # Not 80: the image's user is not root.
    ports.http = 8080;
    health = "/healthz";
    volumes = [ "/config" "/data" "/srv" ];
  };

  needs.site = { kind = "volume"; description = "The site's files"; path = "/srv"; size = "1Gi"; access = "ReadOnlyMany"; optional = true; };
  routes."/".service = "server";
  migration.kind = "none";
  meta = {
    description = "Web server for static frontends";
    homepage = "https://caddyserver.com";
    license = "Apache-2.0";
  };
}

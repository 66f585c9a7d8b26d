# Guestbook: a small example application, to start from.
{ mkApp, patchSource, ... }:
mkApp {
  name = "guestbook";
  version = "1.0.0";
  packageVersion = 1;

  source.path = ./src;
  hashes.vendorHash = "sha256-55Cma4b8rRj3CpbRpEVH3C6MqqXoFAmjtYctZhacKNE=";

  # A Go program, built by Nix.
  components.backend = {
    package = { buildGoModule, version, ... }: buildGoModule {
      modRoot = "backend";
      env.CGO_ENABLED = "0";
      ldflags = [ "-X main.version=${version}" ];
    };
    entrypoint = [ "bin/guestbook" ];
    ports.http = 8080;
    health = "/healthz";
    services = {
      web = { };
      migrate = { command = [ "migrate" ]; job = "before-upgrade"; };
    };
  };

  # A web server for static files: the base image of the frontend.
  components.base = {
    package = { buildGoModule, ... }: buildGoModule {
      pname = "webserver";
      modRoot = "webserver";
      vendorHash = null;
      env.CGO_ENABLED = "0";
    };
    entrypoint = [ "bin/webserver" ];
    env.SITE = "/site";
    services = { }; # only a base
    ports.http = 8080;
    health = "/healthz";
    description = "Web server for static files";
  };

  # Pages, built by a Containerfile on the catalogue's own images.
  components.frontend = {
    containerfile = "frontend/Containerfile";
    context = "frontend";
    args.APP_VERSION = "1.0.0";
    bases = {
      base = "guestbook/base";
      toolbox = "guestbook/base/debug";
    };
    ports.http = 8080;
    health = "/healthz";
  };

  # The city's name and colours, in the pages and in the program.
  variants.lyon = app: patchSource app [ ./lyon.patch ];

  needs.postgres = {
    description = "The entries";
    components = [ "backend" ];
    env.DATABASE_URL = "$(url)";
  };
  config.BACKEND_URL = {
    description = "The backend, if the frontend should pass on /api itself";
    type = "url";
    components = [ "frontend" ];
  };
  routes = {
    "/".service = "frontend";
    "/api".service = "web";
  };
  migration.kind = "automatic";
  backup = { together = [ "postgres" ]; restoreOrder = [ "postgres" ]; };
  meta = {
    description = "Guestbook with a JSON API";
    license = "Apache-2.0";
  };
}

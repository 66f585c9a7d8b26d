# PocketBase: a backend in one file, with an embedded SQLite.
{ mkApp, ... }:
mkApp rec {
  name = "pocketbase";
  version = "0.36.8";
  packageVersion = 1;

  source = {
    goModule = "github.com/pocketbase/pocketbase";
    version = "v${version}";
    hash = "sha256-v89mk9ynRjRg8pYslgehZ47ir3kdIjO+9mNEZALecMk=";
    date = "2026-03-27";
  };
  hashes.vendorHash = "sha256-p085Ru3csNpGDMeF5q+W23Mc30WwhF9zHv0U29aEp/w=";

  components.server = {
    package = { buildGoModule, ... }: buildGoModule {
      subPackages = [ "examples/base" ];
      env.CGO_ENABLED = "0";
      doCheck = false;
      postInstall = "mv $out/bin/* $out/bin/pocketbase";
    };
    entrypoint = [ "bin/pocketbase" ];
    command = [ "serve" "--http=0.0.0.0:8090" "--dir=/data" ];
    ports.http = 8090;
    health = "/api/health";
    volumes = [ "/data" ];
    services.server.maxReplicas = 1; # SQLite allows one process
  };

  # The optional ones are set on the admin page.
  needs = {
    data = { kind = "volume"; description = "The database, and files"; path = "/data"; size = "10Gi"; };
    bucket = { optional = true; description = "Files, and backups"; };
    oidc.optional = true;
    smtp.optional = true;
  };
  routes."/" = { service = "server"; webSocket = true; };
  backup = { together = [ "data" ]; notes = "https://pocketbase.io/docs/going-to-production/"; };
  migration = { kind = "automatic"; notes = "https://github.com/pocketbase/pocketbase/blob/master/CHANGELOG.md"; };
  meta = {
    description = "Backend in one file: database, files, accounts and an admin page";
    homepage = "https://pocketbase.io";
    license = "MIT";
  };
}

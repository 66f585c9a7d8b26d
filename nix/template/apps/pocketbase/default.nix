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
  };

  needs = {
    bucket.optional = true;
    oidc.optional = true;
    smtp.optional = true;
  };
  migration = { kind = "automatic"; notes = "https://github.com/pocketbase/pocketbase/blob/master/CHANGELOG.md"; };
  meta = {
    description = "Backend in one file: database, files, accounts and an admin page";
    homepage = "https://pocketbase.io";
    license = "MIT";
  };
}

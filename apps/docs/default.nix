# Docs, of La Suite numérique: collaborative documents. Upstream's Containerfiles
# run `apk upgrade` and fetch a file from another repository: these images are
# not reproducible, the first published digest of a key stands.
{ mkApp, substituteSource, addToSource, ... }:
let
  # Upstream publishes its images with this user.
  user = { DOCKER_USER = "1001:127"; };
in
mkApp rec {
  name = "docs";
  version = "5.4.1";
  packageVersion = 1;

  source = {
    github = "suitenumerique/docs";
    tag = "v${version}";
    commit = "57ad4f4be8e65bf07c22c2b63edf657e5d7a4c47";
    hash = "sha256-Xomq2i1t1POgggcAR8FAWf+Lr0y6YOKGvANFOv/BH20=";
    date = "2026-07-09";
  };
  update = {
    tags = "^v([0-9]+\\.[0-9]+\\.[0-9]+)$";
    # Upstream: minor and major releases are not skipped, patch releases may be.
    sequence = "minor";
  };

  components.backend = {
    containerfile = "Dockerfile";
    target = "backend-production";
    args = user;
    ports.http = 8000;
    health = "/__heartbeat__";
    services = {
      # The ready check asks the database and Redis, the other only the program.
      web.liveness = "/__lbheartbeat__";
      worker = {
        command = [ "celery" "-A" "impress.celery_app" "worker" "-l" "INFO" "-n" "impress@%h" ];
        health = { command = [ "celery" "-A" "impress.celery_app" "inspect" "ping" ]; timeout = 30; interval = 60; };
      };
      create-administrator = {
        description = "Creates the first administrator";
        # Not by its options: any process can read those of others.
        command = [
          "python" "manage.py" "shell" "-c"
          ''
            import os
            from django.core.management import call_command
            call_command("createsuperuser", email=os.environ["ADMIN_EMAIL"], password=os.environ["ADMIN_PASSWORD"])
          ''
        ];
        job = "first-install";
        optional = true;
        config = {
          ADMIN_EMAIL = { description = "The administrator's address"; type = "email"; required = true; };
          ADMIN_PASSWORD = { description = "The administrator's password"; required = true; secret = true; };
        };
      };
      migrate = { command = [ "python" "manage.py" "migrate" "--no-input" ]; job = "before-upgrade"; };
    };
    license = "MIT";
  };

  components.frontend = {
    containerfile = "src/frontend/Dockerfile";
    target = "frontend-production";
    # PUBLISH_AS_MIT = "false" would add BlockNote's XL packages, and GPL-3.0
    # to this component's licence.
    args = user // { API_ORIGIN = ""; SW_DEACTIVATED = ""; PUBLISH_AS_MIT = ""; };
    ports.http = 8080; # nginx listens on 3000 too
    health = "/";
    # nginx's templates and temporary files.
    writable = [ "/tmp" ];
    license = "MIT";
  };

  components.y-provider = {
    containerfile = "src/frontend/servers/y-provider/Dockerfile";
    target = "y-provider";
    args = user;
    ports.http = 4444;
    health = "/ping";
    services = {
      y-provider = { };
      converter = { description = "A second one, which only converts documents"; optional = true; };
    };
    license = "MIT";
  };

  # Lyon's own font in the pages, its footer and links in the theme.
  variants.lyon = app:
    addToSource
      (substituteSource app {
        "src/frontend/apps/impress/src/pages/globals.css" = {
          "/assets/fonts/Marianne/Marianne-font.css" = "/assets/fonts/lyon/lyon-font.css";
        };
      })
      {
        "src/frontend/apps/impress/public/assets/fonts/lyon/lyon-font.css" = ./lyon/lyon-font.css;
        "src/backend/impress/configuration/theme/default.json" = ./lyon/theme.json;
      };

  needs = import ./needs.nix;
  config = import ./config.nix;
  routes =
    let
      backend = { service = "web"; maxBodySize = "10Mi"; };
      room = { service = "y-provider"; sticky.query = "room"; };
    in
    {
      "/".service = "frontend";
      "/api" = backend;
      "/external_api" = backend;
      "/admin" = backend;
      "/static" = backend;
      "/collaboration/ws/" = room // { webSocket = true; timeout = 86400; };
      "/collaboration/api/" = room;
      "/media/" = {
        bucket = "bucket";
        stripPrefix = true;
        # The answer signs the request to the bucket.
        authorize = {
          service = "web";
          path = "/api/v1.0/documents/media-auth/";
          urlHeader = "X-Original-URL";
          methodHeader = "X-Original-Method";
          copyHeaders = [ "Authorization" "X-Amz-Date" "X-Amz-Content-SHA256" ];
        };
        responseHeaders."Content-Security-Policy" = "default-src 'none'";
      };
    };
  migration = { kind = "automatic"; notes = "https://github.com/suitenumerique/docs/blob/main/UPGRADE.md"; };
  backup = { together = [ "postgres" "bucket" ]; restoreOrder = [ "postgres" "bucket" ]; };
  meta = {
    description = "Collaborative documents";
    homepage = "https://github.com/suitenumerique/docs";
    license = "MIT";
  };
}

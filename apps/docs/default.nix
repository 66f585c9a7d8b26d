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
      web = { };
      worker.command = [ "celery" "-A" "impress.celery_app" "worker" "-l" "INFO" "-n" "impress@%h" ];
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
    ports.http = 8080;
    license = "MIT";
  };

  components.y-provider = {
    containerfile = "src/frontend/servers/y-provider/Dockerfile";
    target = "y-provider";
    args = user;
    ports.http = 4444;
    health = "/ping";
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

  needs = {
    postgres.extensions = [ "pg_trgm" "fuzzystrmatch" "unaccent" ];
    redis = { };
    bucket = { };
    oidc.callback = "/api/v1.0/callback/";
    smtp = { };
    docspec.optional = true;
    llm.optional = true;
    search.optional = true;
  };
  migration = { kind = "automatic"; notes = "https://github.com/suitenumerique/docs/blob/main/UPGRADE.md"; };
  meta = {
    description = "Collaborative documents";
    homepage = "https://github.com/suitenumerique/docs";
    license = "MIT";
  };
}

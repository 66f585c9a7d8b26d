rec {
  source.github = "a/b";
  source.hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  source . date /* of the release */ = "2026-01-02";
  components.backend.bases."python:3.13-alpine" = "sha256:aa";
  components.backend.bases."node:22.1" = "sha256:bb";
  components.frontend.bases = { "node:22.1" = "sha256:bb"; };
  a . b
    . c
      = "1";
  a.b.d = 2;
  a.e = { f.g = "3"; };
}

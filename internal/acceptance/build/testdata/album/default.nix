# Album: an app that asks an OpenID provider who somebody is, and keeps photos in a bucket.
{ mkApp, ... }:
mkApp {
  name = "album";
  version = "1.0.0";
  packageVersion = 1;

  source.path = ./src;

  components.web = {
    package = { buildGoModule, ... }: buildGoModule {
      vendorHash = null;
      env.CGO_ENABLED = "0";
    };
    entrypoint = [ "bin/album" ];
    ports.http = 8080;
    health = "/healthz";
    services = {
      web = { };
      tidy = { command = [ "tidy" ]; job = "scheduled"; schedule = "0 3 * * *"; };
    };
  };

  needs.bucket = {
    versioning = true;
    env = {
      S3_ENDPOINT = "$(endpoint)";
      S3_REGION = "$(region)";
      S3_BUCKET = "$(name)";
      S3_ACCESS_KEY = "$(accessKey)";
      S3_SECRET_KEY = "$(secretKey)";
    };
  };
  needs.oidc = {
    callback = "/callback";
    postLogout = "/";
    scopes = [ "openid" "email" ];
    env = {
      OIDC_ISSUER = "$(issuer)";
      OIDC_CLIENT_ID = "$(clientId)";
      OIDC_CLIENT_SECRET = "$(clientSecret)";
      OIDC_TOKEN_ENDPOINT = "$(tokenEndpoint)";
    };
  };
  config.APP_URL = {
    description = "Where browsers reach the app";
    type = "url";
    value = "$(url)";
  };
  routes = {
    "/".service = "web";
    "/photos" = { bucket = "bucket"; stripPrefix = true; authorize = { service = "web"; path = "/sign"; urlHeader = "X-Original-URL"; copyHeaders = [ "Authorization" "X-Amz-Date" "X-Amz-Content-SHA256" ]; }; };
  };
  meta = {
    description = "Photos of who is logged in";
    license = "Apache-2.0";
  };
}

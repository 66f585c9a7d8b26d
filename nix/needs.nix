# The kinds of needs: their parts, which the values of variables can have as $(PART), and
# their attributes beside those of every kind. internal/describe has the same parts.
let
  t = import ./types.nix;

  database = { url = true; host = false; port = false; name = false; user = false; password = true; };
in
{
  # PART = whether it is secret.
  parts = {
    postgres = database;
    mysql = database;
    redis = { url = true; host = false; port = false; user = false; password = true; };
    bucket = { endpoint = false; region = false; name = false; accessKey = true; secretKey = true; };
    oidc = {
      issuer = false;
      clientId = false;
      clientSecret = true;
      authorizationEndpoint = false;
      tokenEndpoint = false;
      userinfoEndpoint = false;
      jwksUri = false;
      endSessionEndpoint = false;
    };
    smtp = { url = true; host = false; port = false; user = false; password = true; from = false; tls = false; startTls = false; };
    search = { url = false; host = false; port = false; user = false; password = true; apiKey = true; };
    livekit = { url = false; apiKey = true; apiSecret = true; };
    llm = { url = false; apiKey = true; model = false; };
    http = { url = false; apiKey = true; };
    app = { url = false; host = false; port = false; };
    volume = { };
  };

  # What other tools call them.
  habits = t.same "postgres" [ "postgresql" "database" ]
    // t.same "mysql" [ "mariadb" ]
    // t.same "redis" [ "valkey" ]
    // t.same "bucket" [ "s3" "minio" "storage" ]
    // t.same "oidc" [ "oauth" "openid" "sso" ]
    // t.same "smtp" [ "mail" "email" ]
    // t.same "search" [ "elasticsearch" "opensearch" "meilisearch" ]
    // t.same "volume" [ "data_dir" "persistent" ]
    // t.same "http" [ "api" "service" ];

  # The attributes of some kinds only.
  of = {
    version = [ "postgres" "mysql" "redis" "search" ];
    extensions = [ "postgres" ];
    versioning = [ "bucket" ];
    callback = [ "oidc" ];
    postLogout = [ "oidc" ];
    scopes = [ "oidc" ];
    path = [ "volume" ];
    size = [ "volume" ];
    access = [ "volume" ];
    app = [ "app" ];
    component = [ "app" ];
    port = [ "app" ];
  };
  required = { volume = [ "path" ]; app = [ "app" "port" ]; };

  # What labels of images and listings have of them: what only describes an app changes no
  # image, whose volumes its configuration has. The rest is in the application document.
  brief = needs:
    let services = builtins.filter (name: needs.${name}.kind or name != "volume") (builtins.attrNames needs); in
    builtins.listToAttrs (map
      (name: { inherit name; value = builtins.intersectAttrs { optional = null; extensions = null; callback = null; } needs.${name}; })
      services);
}

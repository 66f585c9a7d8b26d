# What Docs needs, and by which variables it takes it.
let
  backend = [ "backend" ];
  secret = value: variable: { inherit value; file = "${variable}_FILE"; };
in
{
  postgres = {
    components = backend;
    # Migrations create them: the role needs the right, or they exist before.
    extensions = [ "pg_trgm" "fuzzystrmatch" "unaccent" ];
    env = {
      DB_HOST = "$(host)";
      DB_PORT = "$(port)";
      DB_NAME = "$(name)";
      DB_USER = "$(user)";
      DB_PASSWORD = secret "$(password)" "DB_PASSWORD";
    };
  };
  redis = {
    description = "Sessions, the cache, and the queue of the worker. Upstream uses database 1.";
    components = backend;
    env = {
      REDIS_URL = "$(url)";
      DJANGO_CELERY_BROKER_URL = "$(url)";
    };
  };
  bucket = {
    description = "Attachments, and the documents' versions";
    components = backend;
    versioning = true;
    env = {
      AWS_S3_ENDPOINT_URL = "$(endpoint)";
      AWS_S3_REGION_NAME = "$(region)";
      AWS_STORAGE_BUCKET_NAME = "$(name)";
      AWS_S3_ACCESS_KEY_ID = secret "$(accessKey)" "AWS_S3_ACCESS_KEY_ID";
      AWS_S3_SECRET_ACCESS_KEY = secret "$(secretKey)" "AWS_S3_SECRET_ACCESS_KEY";
    };
  };
  oidc = {
    components = backend;
    callback = "/api/v1.0/callback/";
    postLogout = "/api/v1.0/logout-callback/";
    scopes = [ "openid" "email" ];
    env = {
      OIDC_OP_JWKS_ENDPOINT = "$(jwksUri)";
      OIDC_OP_AUTHORIZATION_ENDPOINT = "$(authorizationEndpoint)";
      OIDC_OP_TOKEN_ENDPOINT = "$(tokenEndpoint)";
      OIDC_OP_USER_ENDPOINT = "$(userinfoEndpoint)";
      OIDC_OP_LOGOUT_ENDPOINT = "$(endSessionEndpoint)";
      OIDC_RP_CLIENT_ID = "$(clientId)";
      OIDC_RP_CLIENT_SECRET = secret "$(clientSecret)" "OIDC_RP_CLIENT_SECRET";
    };
  };
  smtp = {
    description = "Invitations";
    components = backend;
    env = {
      DJANGO_EMAIL_HOST = "$(host)";
      DJANGO_EMAIL_PORT = "$(port)";
      DJANGO_EMAIL_HOST_USER = "$(user)";
      DJANGO_EMAIL_HOST_PASSWORD = secret "$(password)" "DJANGO_EMAIL_HOST_PASSWORD";
      DJANGO_EMAIL_FROM = "$(from)";
      DJANGO_EMAIL_USE_TLS = "$(startTls)";
      DJANGO_EMAIL_USE_SSL = "$(tls)";
    };
  };
  llm = {
    description = "The assistant: an API like OpenAI's";
    optional = true;
    components = backend;
    env = {
      AI_FEATURE_ENABLED = "true";
      OPENAI_SDK_BASE_URL = "$(url)";
      OPENAI_SDK_API_KEY = secret "$(apiKey)" "OPENAI_SDK_API_KEY";
      AI_MODEL = "$(model)";
    };
  };
  docspec = {
    kind = "http";
    description = "DocSpec: imports documents of other programs";
    optional = true;
    components = backend;
    env = {
      DOCSPEC_API_URL = "$(url)";
      CONVERSION_UPLOAD_ENABLED = "true";
    };
  };
  search = {
    description = "Find: full-text search, which also needs SEARCH_INDEXER_CLASS and INDEXING_URL";
    optional = true;
    components = backend;
    env = {
      SEARCH_URL = "$(url)";
      SEARCH_INDEXER_SECRET = "$(apiKey)";
    };
  };
}

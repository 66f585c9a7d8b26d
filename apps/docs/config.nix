# The settings of Docs beside those of its needs: upstream's documentation/env.md.
let
  of = components: settings: builtins.mapAttrs (_: setting: { inherit components; } // setting) settings;
  address = description: { inherit description; type = "url"; value = "$(url)"; };
in
of [ "backend" ]
  {
    DJANGO_CONFIGURATION = { description = "The class of settings"; value = "Production"; };
    DJANGO_SETTINGS_MODULE = { description = "The module of settings"; value = "impress.settings"; };
    PYTHONPATH = { description = "Where Python finds the program"; value = "/app"; };
    DJANGO_ALLOWED_HOSTS = { description = "The host names that it answers for, separated by commas"; value = "$(host)"; };
    DJANGO_SECRET_KEY = { description = "Signs sessions"; secret = true; generate = true; file = "DJANGO_SECRET_KEY_FILE"; };
    LOGIN_REDIRECT_URL = address "Where a login leads";
    LOGIN_REDIRECT_URL_FAILURE = address "Where a failed login leads";
    LOGOUT_REDIRECT_URL = address "Where a logout leads";
    OIDC_REDIRECT_ALLOWED_HOSTS = { description = "Where a login may lead"; type = "json"; value = ''["$(url)"]''; };
    OIDC_RP_SIGN_ALGO = { description = "How ID tokens are signed"; default = "RS256"; };
    OIDC_RP_SCOPES = { description = "The scopes that it asks for"; default = "openid email"; };
    MEDIA_BASE_URL = address "The address of attachments";
    DJANGO_EMAIL_BRAND_NAME = { description = "The name in mails"; example = "La Suite numérique"; };
    DJANGO_EMAIL_LOGO_IMG = { description = "The logo in mails"; type = "url"; value = "$(url)/assets/logo-suite-numerique.png"; };
    DJANGO_EMAIL_URL_APP = address "Where links in mails lead";
    Y_PROVIDER_API_BASE_URL = { description = "The y-provider, as the backend reaches it"; type = "url"; value = "http://$(service.y-provider.http)/api/"; };
    FRONTEND_THEME = { description = "The theme of the pages"; };
    FRONTEND_CSS_URL = { description = "Additional styles of the pages"; type = "url"; };
    FRONTEND_JS_URL = { description = "An additional script of the pages"; type = "url"; };
    THEME_CUSTOMIZATION_FILE_PATH = { description = "Logos, links and footer, as JSON"; type = "file"; default = "/app/impress/configuration/theme/default.json"; };
    MISTRAL_SDK_BASE_URL = { description = "Mistral's API, in place of one like OpenAI's"; type = "url"; };
    MISTRAL_SDK_API_KEY = { description = "The key for Mistral's API"; secret = true; file = "MISTRAL_SDK_API_KEY_FILE"; };
    SEARCH_INDEXER_CLASS = { description = "The class that sends documents to Find"; };
    INDEXING_URL = { description = "Where documents are sent for Find"; type = "url"; };
    SENTRY_DSN = { description = "Where errors are reported"; type = "url"; };
    POSTHOG_KEY = { description = "The key for PostHog"; secret = true; file = "POSTHOG_KEY_FILE"; };
    POSTHOG_HOST = { description = "PostHog's address"; type = "url"; default = "https://eu.i.posthog.com"; };
    LANGFUSE_BASE_URL = { description = "Langfuse's address"; type = "url"; };
    LANGFUSE_PUBLIC_KEY = { description = "The public key for Langfuse"; };
    LANGFUSE_SECRET_KEY = { description = "The secret key for Langfuse"; secret = true; file = "LANGFUSE_SECRET_KEY_FILE"; };
  }
// of [ "backend" "y-provider" ]
  {
    Y_PROVIDER_API_KEY = { description = "The key of the y-provider's API, the same in both"; secret = true; generate = true; file = "Y_PROVIDER_API_KEY_FILE"; };
    COLLABORATION_SERVER_SECRET = { description = "By which backend and y-provider know each other"; secret = true; generate = true; file = "COLLABORATION_SERVER_SECRET_FILE"; };
    COLLABORATION_API_URL = { description = "The y-provider's API for collaboration"; type = "url"; value = "$(url)/collaboration/api/"; };
  }
// of [ "y-provider" ]
  {
    COLLABORATION_SERVER_ORIGIN = { description = "The origin that may connect"; type = "url"; value = "$(url)"; };
    COLLABORATION_BACKEND_BASE_URL = { description = "The backend, as the y-provider reaches it"; type = "url"; value = "http://$(service.web.http)"; };
    COLLABORATION_LOGGING = { description = "Whether it logs connections"; type = "boolean"; value = "true"; };
  }

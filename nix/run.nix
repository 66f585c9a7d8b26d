# The attributes of a definition that say how the app is run: needs, settings, services,
# routes, backups. They are in the application document (describe.nix) and in no image.
# `same` names the attribute whose table in docs/mkApp.md also holds.
let
  t = import ./types.nix;
  inherit (t) struct map' named list orSet;

  strings = list t.string;
  needs = import ./needs.nix;
  components = list t.name // { doc = "The components that take it, if not all."; };

  # A port's check; ports.nix has its rules.
  health = {
    habits = {
      exec = "command";
      test = "command";
      httpGet = "path";
      tcpSocket = "tcp";
      start_period = "startPeriod";
      initialDelaySeconds = "startPeriod";
      periodSeconds = "interval";
      timeoutSeconds = "timeout";
      failureThreshold = "retries";
    };
  } // struct [ ] {
    path = t.absolute // { doc = "Path of a URL, requested by HTTP."; example = ''"/healthz"''; };
    port = t.name // { doc = "Name of the port for `path`, if there are several."; example = ''"http"''; };
    command = strings // {
      doc = "A program in the container: exit code 0 means healthy. That of a component is also the image's HEALTHCHECK.";
      example = ''[ "bin/healthy" "--quick" ]'';
    };
    tcp = t.name // { doc = "Name of a port that accepts connections."; example = ''"redis"''; };
    grpc = t.name // { doc = "Name of a port with the service `grpc.health.v1`."; };
    interval = t.seconds // { doc = "Seconds between checks."; };
    timeout = t.seconds // { doc = "Seconds that a check may take."; };
    startPeriod = t.seconds // { doc = "Seconds after the start during which failures do not count: the start-up grace."; };
    retries = t.natural // { doc = "Consecutive failures that make it unhealthy."; };
  };

  amounts = struct [ ] {
    cpu = t.quantity // { doc = "Cores."; example = ''"250m"''; };
    memory = t.quantity // { doc = "Bytes."; example = ''"512Mi"''; };
  };

  # A setting by its environment variable.
  setting = {
    habits = { options = "values"; enum = "values"; random = "generate"; ask = "description"; sensitive = "secret"; };
  } // struct [ "description" ] {
    description = t.string // { doc = "What it is for."; };
    type = t.oneOf [ "string" "integer" "number" "boolean" "url" "email" "json" "duration" "file" ] // {
      doc = "The type of the text. A `file` is the path of one that the operator mounts.";
      default = "string";
    };
    default = t.string // { doc = "What the program uses if it is not set."; };
    value = t.string // {
      doc = "The value to run with, unless the operator sets another. `$(host)` is the app's host name, `$(url)` its address, and `$(service.NAME.PORT)` is HOST:PORT of a service.";
      example = ''"https://$(host)/collaboration/api/"'';
    };
    required = t.boolean // { doc = "Whether the operator must set it."; default = false; };
    secret = t.boolean // { doc = "Whether it is a secret, which has no value in the catalogue."; default = false; };
    generate = t.boolean // { doc = "Whether any random text does, which must be kept. For secrets."; default = false; };
    file = t.envName // { doc = "The variable that names a file with the value instead."; example = ''"SECRET_KEY_FILE"''; };
    example = t.string // { doc = "An example."; };
    values = strings // { doc = "The values that it may have."; };
    inherit components;
  };
  settings = each: map' each // { names = t.envName; };
  ownSetting = setting // { fields = removeAttrs setting.fields [ "components" ]; };
in
{
  inherit health;

  service = struct [ ] {
    command = strings // {
      doc = "Arguments after the image's entrypoint, instead of `command`.";
      example = ''[ "celery" "-A" "impress.celery_app" "worker" ]'';
    };
    job = t.oneOf [ "before-upgrade" "first-install" "scheduled" ] // {
      doc = "Makes it a job: `before-upgrade` runs once before each new app version, also before the first; `first-install` once, when the app is first installed; `scheduled` at the times of `schedule`. Without it the service runs all the time.";
    };
    schedule = t.cron // { doc = "When a scheduled job runs: the five fields of cron, in UTC."; example = ''"15 3 * * *"''; };
    optional = t.boolean // { doc = "Whether it only runs if the operator asks for it."; default = false; };
    description = t.string // { doc = "One line about the service."; };
    ports = list t.name // {
      doc = "Names of the component's ports that it listens on. The default is all, or none if it has its own `command`.";
      example = ''[ "http" ]'';
    };
    health = orSet t.absolute health // {
      doc = "How to check that it is ready for requests. The default is the component's, or none if it has its own `command`.";
      same = "health";
      example = ''"/ready"'';
    };
    liveness = orSet t.absolute health // {
      doc = "How to check that it still runs: if this fails, it is started again. The default is `health`.";
      same = "health";
      example = ''"/alive"'';
    };
    replicas = t.natural // { doc = "How many to start with."; default = 1; };
    maxReplicas = t.natural // { doc = "How many may run at once. 1 also means that the old one ends before a new one starts."; };
    resources = struct [ ] {
      requests = amounts // { doc = "What it is given at least, in Kubernetes' units."; };
      limits = amounts // { doc = "What it gets at most."; };
    } // { doc = "What it uses."; };
    config = settings ownSetting // { doc = "Settings of this service alone, by environment variable."; same = "config"; };
  };

  config = settings setting // {
    doc = "The app's settings, by environment variable, beside those of `needs`.";
    default = { };
    example = ''{ LOG_LEVEL = { description = "What is logged"; default = "info"; values = [ "info" "debug" ]; }; }'';
  };

  needs = named ({ habits = { required = "optional"; }; } // struct [ ] {
    kind = t.oneOf (builtins.attrNames needs.parts) // { doc = "What it is. The default is its name."; habits = needs.habits; };
    optional = t.boolean // { doc = "Whether the app works without it."; default = false; };
    description = t.string // { doc = "What it is for."; };
    inherit components;
    env = map'
      (orSet t.string (struct [ "value" ] {
        value = t.string // { doc = "The value, with `$(PART)` for a part of the need."; };
        file = t.envName // { doc = "The variable that names a file with the value instead."; example = ''"DB_PASSWORD_FILE"''; };
        inherit components;
      })) // {
      names = t.envName;
      doc = "The environment variables by which components take it: values with `$(PART)` for its parts, which docs/mkApp.md lists for each kind.";
      default = { };
      example = ''{ DB_HOST = "$(host)"; DB_PASSWORD = { value = "$(password)"; file = "DB_PASSWORD_FILE"; }; }'';
    };
    version = t.range // { doc = "`postgres`, `mysql`, `redis`, `search`: the versions of the server that work."; example = ''">=14"''; };
    extensions = list t.extension // { doc = "`postgres`: the extensions that must exist, or that the role may create."; example = ''[ "pg_trgm" ]''; };
    versioning = t.boolean // { doc = "`bucket`: whether objects must have versions."; };
    callback = t.absolute // { doc = "`oidc`: the path of the redirect URI."; example = ''"/oauth/callback"''; };
    postLogout = t.absolute // { doc = "`oidc`: the path of the post-logout redirect URI."; };
    scopes = strings // { doc = "`oidc`: the scopes that the app asks for."; example = ''[ "openid" "email" ]''; };
    path = t.absolute // { doc = "`volume`: the folder, one of the components' `volumes`."; example = ''"/data"''; };
    size = t.quantity // { doc = "`volume`: its size to start with."; example = ''"10Gi"''; };
    access = t.oneOf [ "ReadWriteOnce" "ReadWriteMany" "ReadOnlyMany" ] // { doc = "`volume`: who may use it at once, in Kubernetes' words. The default is `ReadWriteOnce`."; };
    app = t.name // { doc = "`app`: another app of the catalogue."; };
    component = t.name // { doc = "`app`: its component, if it has several."; };
    port = t.name // { doc = "`app`: a port of the component."; };
  }) // {
    doc = "The services and folders that the app needs to run, by name.";
    default = { };
    example = ''{ postgres.env.DATABASE_URL = "$(url)"; cache = { kind = "redis"; optional = true; }; }'';
  };

  routes = map'
    ({
      habits = { to = "service"; component = "service"; backend = "service"; websocket = "webSocket"; };
    } // struct [ ] {
      service = t.name // { doc = "The service that it leads to."; };
      port = t.name // { doc = "Name of the service's port, if it has several."; };
      bucket = t.name // { doc = "A need of kind `bucket`, instead of `service`: the rest of the path is an object's key."; };
      stripPrefix = t.boolean // { doc = "Removes the route's path before the request is passed on."; };
      webSocket = t.boolean // { doc = "Whether connections may become WebSockets."; };
      maxBodySize = t.quantity // { doc = "The largest body of a request; `0` is no limit."; example = ''"10Mi"''; };
      timeout = t.seconds // { doc = "Seconds that a request, or an idle WebSocket, may take."; };
      sticky = struct [ ] {
        query = t.string // { doc = "Those with the same value of this query argument."; example = ''"room"''; };
        cookie = t.string // { doc = "Those with the same value of this cookie."; };
      } // { doc = "Sends requests that belong together to the same replica. Exactly one of these."; };
      authorize = struct [ "service" "path" ] {
        service = t.name // { doc = "The service to ask."; };
        port = t.name // { doc = "Name of its port, if it has several."; };
        path = t.absolute // { doc = "The path to ask for."; };
        urlHeader = t.header // { doc = "The header with the URL of the request."; example = ''"X-Original-URL"''; };
        methodHeader = t.header // { doc = "The header with the method of the request."; };
        copyHeaders = list t.header // { doc = "Headers of the answer that the request is passed on with."; example = ''[ "Authorization" ]''; };
      } // { doc = "Asks a service first, by a GET, whether the request may pass: an answer of 2xx lets it."; };
      responseHeaders = map' t.string // { names = t.header; doc = "Headers of the answer."; };
    }) // {
    names = t.absolute;
    doc = "What requests from outside reach, by the path that theirs begins with. The longest path wins; it matches whole segments.";
    default = { };
    example = ''{ "/" = { service = "frontend"; }; "/api" = { service = "web"; }; }'';
  };

  backup = struct [ ] {
    together = list t.name // { doc = "Needs whose content must be of one moment."; example = ''[ "postgres" "bucket" ]''; };
    restoreOrder = list t.name // { doc = "Needs in the order to restore them."; };
    notes = t.string // { doc = "URL of upstream's notes."; };
  } // {
    doc = "What to back up of the needs.";
    default = null;
  };
}

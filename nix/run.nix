# The attributes of a definition that say how the app is run: needs, settings, services,
# routes, backups. They are in the application document (describe.nix) and in no image.
# `same` names the attribute whose table in docs/mkApp.md also holds.
let
  t = import ./types.nix;
  inherit (t) struct map' named list orSet;

  strings = list t.string;
  needs = import ./needs.nix;
  components = list t.name // { doc = "The components that get it. The default is all."; };

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
    path = t.absolute // { doc = "Path to request by HTTP."; example = ''"/healthz"''; };
    port = t.name // { doc = "Name of the port for `path`, if there are several."; example = ''"http"''; };
    command = strings // {
      doc = "Command to run in the container. Exit code 0 means healthy. For a component it is also the image's HEALTHCHECK.";
      example = ''[ "bin/healthy" "--quick" ]'';
    };
    tcp = t.name // { doc = "Name of a port that accepts connections."; example = ''"redis"''; };
    grpc = t.name // { doc = "Name of a port with the service `grpc.health.v1`."; };
    interval = t.seconds // { doc = "Seconds between checks."; };
    timeout = t.seconds // { doc = "Seconds that a check may take."; };
    startPeriod = t.seconds // { doc = "Seconds after the start in which failures do not count."; };
    retries = t.natural // { doc = "Number of failures in a row after which it is unhealthy."; };
  };

  amounts = struct [ ] {
    cpu = t.quantity // { doc = "CPU cores."; example = ''"250m"''; };
    memory = t.quantity // { doc = "Memory, in bytes."; example = ''"512Mi"''; };
  };

  # A setting by its environment variable.
  setting = {
    habits = { options = "values"; enum = "values"; random = "generate"; ask = "description"; sensitive = "secret"; };
  } // struct [ "description" ] {
    description = t.string // { doc = "What it is for."; };
    type = t.oneOf [ "string" "integer" "number" "boolean" "url" "email" "json" "duration" "file" ] // {
      doc = "The type of the value. A `file` is the path of a file that the operator mounts.";
      default = "string";
    };
    default = t.string // { doc = "The value that the program uses if the variable is not set."; };
    value = t.string // {
      doc = "The value, unless the operator sets another. `$(host)` is the app's host name, `$(url)` its address, and `$(service.NAME.PORT)` is HOST:PORT of a service.";
      example = ''"https://$(host)/collaboration/api/"'';
    };
    required = t.boolean // { doc = "Whether the operator must set it."; default = false; };
    secret = t.boolean // { doc = "Whether it is a secret, which has no value in the catalogue."; default = false; };
    generate = t.boolean // { doc = "Whether the value is a random text that is generated once and kept. For secrets."; default = false; };
    file = t.envName // { doc = "Another variable, for the path of a file that has the value."; example = ''"SECRET_KEY_FILE"''; };
    example = t.string // { doc = "An example."; };
    values = strings // { doc = "The allowed values."; };
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
      doc = "Makes the service a job: `before-upgrade` runs once before each new app version, also before the first; `first-install` once, when the app is first installed; `scheduled` at the times of `schedule`. Without it the service runs all the time.";
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
    replicas = t.natural // { doc = "Number of replicas at first."; default = 1; };
    maxReplicas = t.natural // { doc = "The largest number of replicas. With 1, an update ends the old replica before it starts the new one."; };
    resources = struct [ ] {
      requests = amounts // { doc = "The least that it is given, in Kubernetes' units."; };
      limits = amounts // { doc = "The most that it may use."; };
    } // { doc = "CPU and memory."; };
    config = settings ownSetting // { doc = "Settings of this service alone, by environment variable."; same = "config"; };
  };

  config = settings setting // {
    doc = "The app's settings, by environment variable, without those that `needs` sets.";
    default = { };
    example = ''{ LOG_LEVEL = { description = "What is logged"; default = "info"; values = [ "info" "debug" ]; }; }'';
  };

  needs = named ({ habits = { required = "optional"; }; } // struct [ ] {
    kind = t.oneOf (builtins.attrNames needs.parts) // { doc = "The kind of need. The default is its name."; habits = needs.habits; };
    optional = t.boolean // { doc = "Whether the app works without it."; default = false; };
    description = t.string // { doc = "What it is for."; };
    inherit components;
    env = map'
      (orSet t.string (struct [ "value" ] {
        value = t.string // { doc = "The value. `$(PART)` stands for a part of the need."; };
        file = t.envName // { doc = "Another variable, for the path of a file that has the value."; example = ''"DB_PASSWORD_FILE"''; };
        inherit components;
      })) // {
      names = t.envName;
      doc = "Environment variables that tell components how to reach it. `$(PART)` in a value stands for a part of the need; docs/mkApp.md lists the parts of each kind.";
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
    size = t.quantity // { doc = "`volume`: its initial size."; example = ''"10Gi"''; };
    access = t.oneOf [ "ReadWriteOnce" "ReadWriteMany" "ReadOnlyMany" ] // { doc = "`volume`: its access mode in Kubernetes. The default is `ReadWriteOnce`."; };
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
      service = t.name // { doc = "The service that gets the requests."; };
      port = t.name // { doc = "Name of the service's port, if it has several."; };
      bucket = t.name // { doc = "A need of kind `bucket` that gets the requests, instead of `service`. The rest of the path is the key of an object."; };
      stripPrefix = t.boolean // { doc = "Removes the route's path before the request is passed on."; };
      webSocket = t.boolean // { doc = "Whether connections may become WebSockets."; };
      maxBodySize = t.quantity // { doc = "The largest body of a request; `0` is no limit."; example = ''"10Mi"''; };
      timeout = t.seconds // { doc = "Seconds that a request, or an idle WebSocket, may take."; };
      sticky = struct [ ] {
        query = t.string // { doc = "Requests with the same value of this query argument belong together."; example = ''"room"''; };
        cookie = t.string // { doc = "Requests with the same value of this cookie belong together."; };
      } // { doc = "Sends requests that belong together to the same replica. Set one of these."; };
      authorize = struct [ "service" "path" ] {
        service = t.name // { doc = "The service to ask."; };
        port = t.name // { doc = "Name of its port, if it has several."; };
        path = t.absolute // { doc = "The path to ask for."; };
        urlHeader = t.header // { doc = "The header with the URL of the request."; example = ''"X-Original-URL"''; };
        methodHeader = t.header // { doc = "The header with the method of the request."; };
        copyHeaders = list t.header // { doc = "Headers of the answer to add to the request."; example = ''[ "Authorization" ]''; };
      } // { doc = "Asks a service, by GET, whether a request may pass. An answer of 2xx means that it may."; };
      responseHeaders = map' t.string // { names = t.header; doc = "Headers of the answer."; };
    }) // {
    names = t.absolute;
    doc = "Where requests from outside go, by path. A route is for its path and all paths below it. If several match, the longest path counts.";
    default = { };
    example = ''{ "/" = { service = "frontend"; }; "/api" = { service = "web"; }; }'';
  };

  backup = struct [ ] {
    together = list t.name // { doc = "Needs to back up at the same moment, because their content belongs together."; example = ''[ "postgres" "bucket" ]''; };
    restoreOrder = list t.name // { doc = "Needs in the order to restore them."; };
    notes = t.string // { doc = "URL of upstream's notes."; };
  } // {
    doc = "How to back up the needs.";
    default = null;
  };
}

# The attributes that a definition may have, as data: `check` in types.nix reads
# it, `filled` takes the defaults from it, and docs/mkApp.md is made of it. What a
# type cannot say (one attribute that needs another) is in mkApp.nix.
#
# An attribute has `doc`, a sentence or two in Markdown; where there is one, `default`,
# its value if the definition does not say it; and, where the type does not show it,
# `example`, as Nix.
let
  t = import ./types.nix;
  inherit (t) struct map' named list either;

  strings = list t.string;
  stringMap = map' t.string;
  variables = each: map' each // { names = t.variable; };

  patch = either [
    t.path
    {
      expects = "{ url, hash }";
      ok = v: builtins.isAttrs v && builtins.attrNames v == [ "hash" "url" ] && builtins.isString v.url && t.sri.ok v.hash;
    }
  ];
  # A file or folder of the catalogue, also as "${./folder}".
  file = { expects = "a path"; ok = v: builtins.isPath v || t.string.ok v && builtins.substring 0 1 v == "/"; };
  # By the names of files and folders in the source.
  within = each: map' each // { names = t.within; };

  service = struct [ ] {
    command = strings // {
      doc = "Arguments behind the image's entrypoint, in the place of `command`.";
      example = ''[ "celery" "-A" "impress.celery_app" "worker" ]'';
    };
    job = t.oneOf [ "before-upgrade" ] // {
      doc = "When it runs once: `before-upgrade`, before the new version does. Without it the service runs all the time.";
    };
  };

  # What one port, and one health check, may say: ports.nix has the rules.
  port = t.orSet t.port (struct [ "port" ] {
    port = t.port // { doc = "The number."; };
    protocol = t.oneOf [ "tcp" "udp" "sctp" ] // { doc = "A number may be there once by each protocol."; default = "tcp"; };
  });
  health = {
    habits = {
      exec = "command";
      test = "command";
      httpGet = "path";
      tcpSocket = "tcp";
      start_period = "startPeriod";
      periodSeconds = "interval";
      timeoutSeconds = "timeout";
      failureThreshold = "retries";
    };
  } // struct [ ] {
    path = t.absolute // { doc = "Path of a URL, asked by HTTP."; example = ''"/healthz"''; };
    port = t.name // { doc = "Name of the port at which `path` is asked, where there are several."; example = ''"http"''; };
    command = strings // {
      doc = "A program in the container: exit code 0 is healthy. The image has it, too, as Docker's HEALTHCHECK.";
      example = ''[ "bin/healthy" "--quick" ]'';
    };
    tcp = t.name // { doc = "Name of a port that takes connections."; example = ''"redis"''; };
    grpc = t.name // { doc = "Name of a port that answers `grpc.health.v1`."; };
    interval = t.seconds // { doc = "Time from one check to the next."; };
    timeout = t.seconds // { doc = "Time that a check may take."; };
    startPeriod = t.seconds // { doc = "Time after the start in which failures do not count."; };
    retries = t.natural // { doc = "Failures in a row that make it unhealthy."; };
  };

  # What is the same for both kinds of component.
  common = {
    entrypoint = strings // {
      doc = "The program and its first arguments. A relative program of a component that Nix builds is one of its package.";
      example = ''[ "bin/pocketbase" ]'';
    };
    command = strings // {
      doc = "Arguments behind the entrypoint, which whoever runs the image may replace. Of a Containerfile that are its own, but none where `entrypoint` is set alone, as in Kubernetes and Compose.";
      example = ''[ "serve" "--dir=/data" ]'';
    };
    env = variables t.string // {
      doc = "Environment variables of the image.";
      example = ''{ XDG_DATA_HOME = "/data"; }'';
    };
    user = t.user // {
      doc = "The numeric user, and the group behind a colon. Of a component that Nix builds 1000, of a Containerfile what it says.";
      example = ''"1001:127"'';
    };
    workingDir = t.absolute // { doc = "The folder in which the program starts."; example = ''"/data"''; };
    ports = named port // {
      doc = "The ports that it listens on, by name: a number of TCP, or a set. Of a Containerfile what it exposes.";
      example = ''{ http = 8080; http3 = { port = 443; protocol = "udp"; }; }'';
    };
    # paths.nix has the rules of a path.
    volumes = strings // { doc = "Folders for data that must outlive the container. Of a Containerfile what it says."; example = ''[ "/data" ]''; };
    stopSignal = t.string // { doc = "The signal that asks the program to end."; example = ''"SIGQUIT"''; };
    health = t.orSet t.absolute health // {
      doc = "How to find out whether it works: the path of a URL that answers 200 while all is well, or a set with exactly one of `path`, `command`, `tcp` and `grpc`.";
      example = ''"/healthz"'';
    };
    services = named service // {
      doc = "What runs of this image beside its main program, by name.";
      default = { };
    };
    license = t.string // { doc = "SPDX expression of this component, where it is not the app's."; };
    systems = strings // {
      doc = "The systems that it is for, where these are not the catalogue's.";
      example = ''[ "x86_64-linux" ]'';
    };
    description = t.string // { doc = "One line about this component, where it is not the app's."; };
  };

  habits = {
    cmd = "command";
    environment = "env";
    port = "ports, as ports.http = 8080";
    healthcheck = "health";
    dockerfile = "containerfile";
    workdir = "workingDir";
    WorkingDir = "workingDir";
    licence = "license";
  };

  ownership = {
    mode = t.mode // { doc = "Permissions, in octal digits."; };
    uid = t.id // { doc = "Number of the user that owns it."; };
    gid = t.id // { doc = "Number of the group that owns it."; };
  };

  date = t.date // { doc = "Day of the release. Files in the image have this time, and so does the image."; };
  hash = t.sri // { doc = "Hash of the unpacked source. A wrong one ends the build, which says the right one."; };
  describe = t.boolean // {
    doc = "Gives the source a `.git` with one commit and the tag, for an upstream whose build runs `git describe`.";
  };
in
{
  nixComponent = { inherit habits; } // struct [ "package" ] (common // {
    package = t.unforced // {
      doc = "The program: a derivation, or a function from `{ source, name, version, hashes, pkgs, system, buildGoModule }` to one. It is at `/app` in the image. This `buildGoModule` is nixpkgs', with `pname`, `version`, `src` and `vendorHash` as the definition has them.";
      example = ''{ buildGoModule, ... }: buildGoModule { subPackages = [ "cmd/notes" ]; }'';
    };
    server = t.unforced // {
      doc = "A second package, at `/server`, that serves the first, a static site. The entrypoint is one of its programs.";
    };
    files = map' (struct [ ] (ownership // {
      text = t.string // { doc = "The content."; };
      source = t.path // { doc = "A file of the catalogue, in the place of `text`."; };
    })) // {
      doc = "Files of the image beside the package, by absolute path.";
      example = ''{ "/etc/caddy/Caddyfile".source = ./Caddyfile; }'';
    };
    directories = map' (struct [ ] ownership) // {
      doc = "Empty folders of the image, by absolute path.";
      example = ''{ "/var/cache/docs" = { uid = 1000; mode = "0750"; }; }'';
    };
  });

  containerfileComponent = { inherit habits; } // struct [ "containerfile" ] (common // {
    containerfile = t.string // { doc = "Upstream's Containerfile, a path in the source."; example = ''"Dockerfile"''; };
    target = t.string // { doc = "The stage to build: the last one where it is not said."; example = ''"backend-production"''; };
    context = t.string // { doc = "The build context, a folder of the source."; default = "."; };
    args = variables (either [ t.string t.null' ]) // {
      doc = "Build arguments. `null` is one that a variant has to set.";
      default = { };
      example = ''{ DOCKER_USER = "1001:127"; }'';
    };
    contexts = map' t.path // {
      doc = "Named contexts: folders of the catalogue, by the name that the file has for them.";
      default = { };
      example = "{ theme = ./theme; }";
    };
    bases = map' (either [ t.digest t.string ]) // {
      doc = "What images of the file are, by their name in it: a digest, or `app/component[/variant]` of this catalogue. A name matches in any spelling, with the file's digest or without; one without a tag matches every tag. The most exact counts.";
      default = { };
      example = ''{ "python:3.13-alpine" = "sha256:…"; "node:22" = "runtimes/node"; }'';
    };
  });

  app = {
    habits = {
      pname = "name";
      src = ''source, as source = { github = "owner/repo"; tag = "v''${version}"; hash = "sha256-…"; }'';
      vendorHash = "hashes.vendorHash";
      npmDepsHash = "hashes.npmDepsHash";
      description = "meta.description";
      homepage = "meta.homepage";
      license = "meta.license";
      changelog = "meta.changelog";
      maintainers = "meta.maintainers";
      ports = "components.NAME.ports";
      env = "components.NAME.env";
      package = "components.NAME.package";
      containerfile = "components.NAME.containerfile";
    } // t.same "an argument of what package calls, as buildGoModule" [
      "buildInputs" "nativeBuildInputs" "ldflags" "subPackages" "doCheck" "postInstall" "postPatch"
    ];
  } // struct [ "name" "version" "packageVersion" "components" ] {
    name = t.name // { doc = "The app's name: that of its folder below `apps`."; };
    version = t.word // { doc = "Upstream's version."; example = ''"5.4.1"''; };
    packageVersion = t.natural // {
      doc = "Ours: 1 for each new version of upstream's, and one more when anything else in an image changes.";
    };
    source = t.set // { doc = "Where upstream's files come from, see below."; default = null; };
    patches = list patch // {
      doc = "Patches of the source, for all variants: files, or `{ url, hash }`.";
      example = "[ ./proxy.patch ]";
    };
    hashes = map' (either [ t.string stringMap ]) // {
      doc = "Hashes that packages need, by name; one for each system as a set. `libre bump` finds them anew.";
      default = { };
      example = ''{ vendorHash = "sha256-…"; }'';
    };
    update = struct [ ] {
      tags = t.string // { doc = "Regular expression for the whole tag; its first group is the version."; example = ''"^v([0-9.]+)$"''; };
      prereleases = t.boolean // { doc = "Take prereleases, too."; };
      range = t.string // { doc = "The largest step, `patch`, `minor` or `major`, or a constraint."; example = ''">=5.0, <6.0"''; };
      sequence = t.oneOf [ "minor" "major" ] // { doc = "Where upstream forbids to skip one: the lines to go through."; };
      hold = t.string // { doc = "Why the app stays where it is."; };
      follow = t.name // { doc = "The app of this catalogue whose version this one has."; };
      delay = t.integer // { doc = "Days that a release must have aged."; };
      ignore = strings // { doc = "Versions or tags that are not taken."; example = ''[ "5.3.*" ]''; };
      transform = stringMap // { doc = "Replacements of literal texts in a tag, before the version is read."; example = ''{ "_" = "."; }''; };
    } // {
      doc = "Which versions `libre bump` takes.";
      default = { };
    };
    crossFrom = t.string // {
      doc = "The system on which nixpkgs builds the images of all others, by cross-compiling.";
      default = null;
      example = ''"x86_64-linux"'';
    };
    components = named t.set // { doc = "The app's images, by name, see below."; };
    variants = named t.function // {
      doc = "Other forms of the app, by name: functions from the app to the app. They may change anything but name and versions.";
      default = { };
      example = ''{ lyon = app: addToSource app { "theme.css" = ./lyon.css; }; }'';
    };
    needs = map' t.set // {
      doc = "What the app needs to run, by kind.";
      default = { };
      example = "{ postgresql = { }; bucket.optional = true; }";
    };
    migration = struct [ ] {
      kind = t.oneOf [ "automatic" "manual" "none" ] // { doc = "Who migrates the app's data: the program itself, the operator, or nobody."; };
      minFrom = t.word // { doc = "The oldest version that may be upgraded to this one."; };
      notes = t.string // { doc = "URL of what upstream says about it."; };
    } // {
      doc = "What an upgrade does to the app's data.";
      default = null;
    };
    meta = { habits = { licence = "license"; }; } // struct [ ] {
      description = t.string // { doc = "One line about the app."; };
      homepage = t.string // { doc = "URL of the app's page."; };
      license = t.string // { doc = "SPDX expression."; example = ''"MIT"''; };
      changelog = t.string // { doc = "URL of upstream's changelog."; };
      maintainers = strings // { doc = "Who takes care of this definition."; };
    } // {
      doc = "What people read of the app.";
      default = { };
    };
  };

  # One change of a source, and what the functions of changes.nix are given.
  change = struct [ ] { inherit patch; file = t.within; replace = stringMap; add = file; };
  changes = {
    patchSource = list patch;
    substituteSource = within (stringMap // { names = { expects = "a text to replace"; ok = v: v != ""; }; });
    addToSource = within file;
  };

  # One entry a kind of source: what says which kind it is, and the rest.
  sources = {
    github = struct [ "github" "hash" ] {
      github = {
        expects = "\"owner/repo\"";
        ok = v: builtins.isString v && builtins.match "[0-9A-Za-z._-]+/[0-9A-Za-z._-]+" v != null;
        doc = "A repository at GitHub, or at the server that `githubServer` of `mkCatalogue` names.";
        example = ''"suitenumerique/docs"'';
      };
      tag = t.string // { doc = "The release's tag."; example = ''"v''${version}"''; };
      rev = t.string // { doc = "A commit, in the place of `tag`. `libre bump` does not follow it."; };
      commit = t.commit // { doc = "The commit that the tag pointed to: `libre bump` tells by it that a tag was moved."; };
      archive = t.string // { doc = "URL of another archive of the release than GitHub's own."; };
      inherit hash date describe;
    };
    git = struct [ "git" "rev" "hash" ] {
      git = t.string // { doc = "URL of a repository."; example = ''"https://codeberg.org/forgejo/forgejo"''; };
      rev = t.commit // { doc = "The release's commit."; };
      tag = t.string // { doc = "The release's tag: `libre bump` follows it."; };
      forge = t.oneOf [ "forgejo" "gitea" ] // { doc = "Whose releases `libre bump` asks for."; };
      inherit hash date describe;
    };
    goModule = struct [ "goModule" "version" "hash" ] {
      goModule = t.string // { doc = "Path of a Go module."; example = ''"github.com/pocketbase/pocketbase"''; };
      version = {
        expects = "a version like \"v1.2.3\"";
        ok = v: builtins.isString v && builtins.match "v[0-9A-Za-z.+-]+" v != null;
        doc = "The module's version.";
      };
      inherit hash date;
    };
    url = struct [ "url" "hash" ] {
      url = t.string // { doc = "URL of an archive. It is unpacked by what it is, whatever the URL ends in."; };
      inherit hash date;
    };
    path = struct [ "path" ] {
      path = t.path // { doc = "A folder of the catalogue."; example = "./src"; };
      inherit date;
    };
  };
}

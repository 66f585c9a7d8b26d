# The attributes of a definition, as data: for `check` and `filled` in types.nix, and
# for docs/mkApp.md, which is generated from it. mkApp.nix has the rules that a type
# cannot express, such as an attribute that needs another.
#
# An attribute has `doc`, a sentence or two in Markdown; `default`, the value if a
# definition does not set it; and `example`, as Nix, if the type is not enough.
let
  t = import ./types.nix;
  inherit (t) struct map' named list either;
  run = import ./run.nix;

  strings = list t.string;
  stringMap = map' t.string;
  variables = each: map' each // { names = t.variable; };

  # A patch: a file, or a set of what it is and, with `fixes` and `origin`, what it is for.
  patch = either [
    t.path
    { expects = "{ url, hash }"; ok = ofShape (struct [ "url" "hash" ] { url = t.string; hash = t.sri; fixes = advisories; }); }
    { expects = "{ file }"; ok = ofShape (struct [ "file" ] { file = t.path; fixes = advisories; origin = t.string; }); }
  ];
  fetched = { expects = "{ url, hash }"; ok = ofShape (struct [ "url" "hash" ] { url = t.string; hash = t.sri; }); };
  ofShape = type: value: t.set.ok value && t.check "" "" type value == [ ];
  advisories = list t.advisory;
  # By what databases of vulnerabilities know a program.
  identifiers = struct [ ] {
    cpe = t.cpe // {
      doc = "Its CPE 2.3 name, by which the NVD knows it.";
      example = ''"cpe:2.3:a:pocketbase:pocketbase:''${version}:*:*:*:*:*:*:*"'';
    };
    purl = t.purl // {
      doc = "Its package URL, instead of the one that the source gives.";
      example = ''"pkg:github/pocketbase/pocketbase@v''${version}"'';
    };
  };
  # A file or folder of the catalogue, also as "${./folder}".
  file = { expects = "a path"; ok = v: builtins.isPath v || t.string.ok v && builtins.substring 0 1 v == "/"; };
  # A map by paths in the source.
  within = each: map' each // { names = t.within; };

  # A port; ports.nix has the rules.
  port = t.orSet t.port (struct [ "port" ] {
    port = t.port // { doc = "The number."; };
    protocol = t.oneOf [ "tcp" "udp" "sctp" ] // { doc = "The protocol. A number may be used once per protocol."; default = "tcp"; };
    access = t.oneOf [ "public" "internal" ] // { doc = "Who may reach it besides through `routes`: the internet, or the app's other components."; default = "internal"; };
  });
  # The attributes of both kinds of component.
  common = {
    entrypoint = strings // {
      doc = "The program and its first arguments. In a component that Nix builds, a relative path is in the package.";
      example = ''[ "bin/pocketbase" ]'';
    };
    command = strings // {
      doc = "Default arguments after the entrypoint. In a component with a Containerfile, the default is the file's, or empty if only `entrypoint` is set, as in Kubernetes and Compose.";
      example = ''[ "serve" "--dir=/data" ]'';
    };
    env = variables t.string // {
      doc = "Environment variables of the image.";
      example = ''{ XDG_DATA_HOME = "/data"; }'';
    };
    user = t.user // {
      doc = "The numeric user, with an optional group after a colon. The default is 1000 in a component that Nix builds, else the Containerfile's.";
      example = ''"1001:127"'';
    };
    workingDir = t.absolute // { doc = "The program's working directory."; example = ''"/data"''; };
    ports = named port // {
      doc = "The ports that it listens on, by name: a TCP port's number, or a set. The default is what the Containerfile exposes.";
      example = ''{ http = 8080; http3 = { port = 443; protocol = "udp"; }; }'';
    };
    # paths.nix has the rules of a path.
    volumes = strings // { doc = "Folders for persistent data. The default is the Containerfile's."; example = ''[ "/data" ]''; };
    stopSignal = t.string // { doc = "The signal that stops the program."; example = ''"SIGQUIT"''; };
    health = t.orSet t.absolute run.health // {
      doc = "The health check: the path of a URL that returns 200 if the program is healthy, or a set with exactly one of `path`, `command`, `tcp` and `grpc`.";
      example = ''"/healthz"'';
    };
    writable = strings // {
      doc = "Folders that the program writes to, and whose content may be lost. All others can be read-only.";
      example = ''[ "/tmp" ]'';
    };
    services = named run.service // {
      doc = "The services that run from this image, by name, unique in the app. The default is one with the component's name, if the image has an entrypoint or a command; `{ }` is none, for an image that others are built on.";
    };
    license = t.string // { doc = "SPDX expression of this component's license, if it is not the app's."; };
    identifiers = identifiers // {
      doc = "By what databases of vulnerabilities know this component, over the app's. The image is the same without it.";
      default = { };
    };
    systems = strings // {
      doc = "The systems of its images, if not all of the catalogue's.";
      example = ''[ "x86_64-linux" ]'';
    };
    description = t.string // { doc = "One line about this component. The default is the app's."; };
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
    uid = t.id // { doc = "Numeric user ID of the owner."; };
    gid = t.id // { doc = "Numeric group ID of the owner."; };
  };

  date = t.date // { doc = "Date of the release. It is the time of the image and its files."; };
  hash = t.sri // { doc = "Hash of the unpacked source. `libre hash` finds it, and replaces `\"\"` or a wrong one."; };
  describe = t.boolean // {
    doc = "Adds a `.git` with one commit and the tag to the source, for builds that run `git describe`.";
  };
in
{
  nixComponent = { inherit habits; } // struct [ "package" ] (common // {
    package = t.unforced // {
      doc = "The program: a derivation, or a function from `{ source, name, version, hashes, pkgs, system, buildGoModule }` to one. It is at `/app` in the image. This `buildGoModule` is that of nixpkgs, with `pname`, `version`, `src` and `vendorHash` set from the definition.";
      example = ''{ buildGoModule, ... }: buildGoModule { subPackages = [ "cmd/notes" ]; }'';
    };
    server = t.unforced // {
      doc = "A web server for a package that is a static site. It is at `/server` in the image, and has the entrypoint's program.";
    };
    files = map' (struct [ ] (ownership // {
      text = t.string // { doc = "The content."; };
      source = t.path // { doc = "A file of the catalogue, instead of `text`."; };
    })) // {
      doc = "Additional files of the image, by absolute path.";
      example = ''{ "/etc/caddy/Caddyfile".source = ./Caddyfile; }'';
    };
    directories = map' (struct [ ] ownership) // {
      doc = "Empty folders of the image, by absolute path.";
      example = ''{ "/var/cache/docs" = { uid = 1000; mode = "0750"; }; }'';
    };
  });

  containerfileComponent = { inherit habits; } // struct [ "containerfile" ] (common // {
    containerfile = t.string // { doc = "Upstream's Containerfile, a path in the source."; example = ''"Dockerfile"''; };
    target = t.string // { doc = "The stage to build. The default is the last one."; example = ''"backend-production"''; };
    context = t.string // { doc = "The build context, a folder of the source."; default = "."; };
    args = variables (either [ t.string t.null' ]) // {
      doc = "Build arguments. A variant must set those that are `null`.";
      default = { };
      example = ''{ DOCKER_USER = "1001:127"; }'';
    };
    contexts = map' t.path // {
      doc = "Named build contexts: folders of the catalogue, by their name in the file.";
      default = { };
      example = "{ theme = ./theme; }";
    };
    bases = map' (either [ t.digest t.string ]) // {
      doc = "The file's images, by name: a digest, or `app/component[/variant]` of this catalogue. A name matches in any spelling, with or without a digest; a name without a tag matches every tag. The most specific name wins.";
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
    name = t.name // { doc = "The app's name, which is also the name of its folder in `apps`."; };
    version = t.word // { doc = "Upstream's version."; example = ''"5.4.1"''; };
    packageVersion = t.natural // {
      doc = "The revision of the images: 1 for each upstream version, and one more when an image changes otherwise.";
    };
    source = t.set // { doc = "The upstream source, see below."; default = null; };
    patches = list patch // {
      doc = "Patches for the source in all variants: files, `{ url, hash }` or `{ file, origin }`, where `origin` is the URL that the file comes from. `fixes` in a set lists the vulnerabilities that the patch fixes.";
      example = ''[ ./proxy.patch { file = ./CVE-2026-1234.patch; fixes = [ "CVE-2026-1234" ]; } ]'';
    };
    hashes = map' (either [ t.string stringMap ]) // {
      doc = "Hashes for packages, by name; a set has one for each system. `libre hash` finds them, and `libre bump` updates them.";
      default = { };
      example = ''{ vendorHash = "sha256-…"; }'';
    };
    update = struct [ ] {
      tags = t.string // { doc = "Regular expression that matches the whole tag; its first group is the version."; example = ''"^v([0-9.]+)$"''; };
      prereleases = t.boolean // { doc = "Include prereleases."; };
      range = t.string // { doc = "The largest allowed step, `patch`, `minor` or `major`, or a version constraint."; example = ''">=5.0, <6.0"''; };
      sequence = t.oneOf [ "minor" "major" ] // { doc = "Do not skip a minor or major version, if upstream requires each."; };
      hold = t.string // { doc = "Keeps the app at its version. The text is the reason."; };
      follow = t.name // { doc = "Use the version of this other app of the catalogue."; };
      delay = t.integer // { doc = "Minimum age of a release, in days."; };
      ignore = strings // { doc = "Versions or tags to ignore."; example = ''[ "5.3.*" ]''; };
      transform = stringMap // { doc = "Literal replacements in a tag, before it is matched."; example = ''{ "_" = "."; }''; };
    } // {
      doc = "The versions that `libre bump` selects.";
      default = { };
    };
    identifiers = identifiers // {
      doc = "By what databases of vulnerabilities know the program. The images are the same without it.";
      default = { };
    };
    crossFrom = t.string // {
      doc = "The system on which nixpkgs cross-compiles the images for all others.";
      default = null;
      example = ''"x86_64-linux"'';
    };
    components = named t.set // { doc = "The app's images, by name, see below."; };
    variants = named t.function // {
      doc = "Variants of the app, by name: functions from the app to the changed app. They may change anything but the name and the versions.";
      default = { };
      example = ''{ lyon = app: addToSource app { "theme.css" = ./lyon.css; }; }'';
    };
    inherit (run) needs config routes backup;
    migration = struct [ ] {
      kind = t.oneOf [ "automatic" "manual" "none" ] // { doc = "How the app's data is migrated: by the program itself, by the operator, or not at all."; };
      minFrom = t.word // { doc = "The oldest version that can be upgraded to this one."; };
      reversible = t.boolean // { doc = "Whether the former version works with the migrated data."; };
      notes = t.string // { doc = "URL of upstream's upgrade notes."; };
    } // {
      doc = "Data migration during an upgrade.";
      default = null;
    };
    meta = { habits = { licence = "license"; }; } // struct [ ] {
      description = t.string // { doc = "One line about the app."; };
      homepage = t.string // { doc = "URL of the app's home page."; };
      license = t.string // { doc = "SPDX expression."; example = ''"MIT"''; };
      changelog = t.string // { doc = "URL of upstream's changelog."; };
      maintainers = strings // { doc = "The maintainers of this definition."; };
    } // {
      doc = "Descriptive metadata.";
      default = { };
    };
  };

  # One change of a source, and the arguments of the functions in changes.nix.
  change = struct [ ] { patch = either [ t.path fetched ]; fixes = advisories; origin = t.string; file = t.within; replace = stringMap; add = file; };
  changes = {
    patchSource = list patch;
    substituteSource = within (stringMap // { names = { expects = "a text to replace"; ok = v: v != ""; }; });
    addToSource = within file;
  };

  # The attributes of each kind of source; the kind is the name of its main attribute.
  sources = {
    github = struct [ "github" "hash" ] {
      github = {
        expects = "\"owner/repo\"";
        ok = v: builtins.isString v && builtins.match "[0-9A-Za-z._-]+/[0-9A-Za-z._-]+" v != null;
        doc = "A repository on GitHub, or on the server `githubServer` of `mkCatalogue`.";
        example = ''"suitenumerique/docs"'';
      };
      tag = t.string // { doc = "The release's tag."; example = ''"v''${version}"''; };
      rev = t.string // { doc = "A commit, instead of `tag`. `libre bump` does not update it."; };
      commit = t.commit // { doc = "The commit of the tag, by which `libre bump` detects a moved tag."; };
      archive = t.string // { doc = "URL of the release's archive, if it is not GitHub's own."; };
      inherit hash date describe;
    };
    git = struct [ "git" "rev" "hash" ] {
      git = t.string // { doc = "URL of a repository."; example = ''"https://codeberg.org/forgejo/forgejo"''; };
      rev = t.commit // { doc = "The release's commit."; };
      tag = t.string // { doc = "The release's tag, which `libre bump` updates."; };
      forge = t.oneOf [ "forgejo" "gitea" "gitlab" ] // { doc = "The forge's API, for `libre bump`."; };
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
      url = t.string // { doc = "URL of an archive. Its format is detected from the content, not from the URL."; };
      inherit hash date;
    };
    path = struct [ "path" ] {
      path = t.path // { doc = "A folder of the catalogue."; example = "./src"; };
      inherit date;
    };
  };
}

# The attributes that a definition may have, as data: `check` in types.nix reads
# it. What a type cannot say (one attribute that needs another) is in mkApp.nix.
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
    command = strings;
    job = t.oneOf [ "before-upgrade" ];
  };

  # What is the same for both kinds of component.
  common = {
    entrypoint = strings;
    command = strings;
    env = variables t.string;
    user = t.user;
    workingDir = t.absolute;
    ports = named t.port;
    volumes = strings; # paths.nix has the rules of a path
    stopSignal = t.string;
    health = t.absolute;
    services = named service;
    license = t.string;
    systems = strings;
    description = t.string;
  };

  ownership = { mode = t.mode; uid = t.id; gid = t.id; };
in
{
  nixComponent = struct [ "package" ] (common // {
    package = t.unforced;
    server = t.unforced;
    files = map' (struct [ ] (ownership // { text = t.string; source = t.path; }));
    directories = map' (struct [ ] ownership);
  });

  containerfileComponent = struct [ "containerfile" ] (common // {
    containerfile = t.string;
    target = t.string;
    context = t.string;
    args = variables (either [ t.string t.null' ]);
    contexts = map' t.path;
    bases = map' (either [ t.digest t.string ]);
  });

  app = struct [ "name" "version" "packageVersion" "components" ] {
    name = t.name;
    version = t.word;
    packageVersion = t.natural;
    source = t.set;
    patches = list patch;
    hashes = map' (either [ t.string (map' t.string) ]);
    update = struct [ ] {
      tags = t.string;
      prereleases = t.boolean;
      range = t.string;
      sequence = t.oneOf [ "minor" "major" ];
      hold = t.string;
      follow = t.name;
      delay = t.integer;
      ignore = strings;
      transform = stringMap; # literal replacements in a tag, before the version is read
    };
    crossFrom = t.string;
    components = named t.set;
    variants = named t.function;
    needs = map' t.set;
    migration = struct [ ] {
      kind = t.oneOf [ "automatic" "manual" "none" ];
      minFrom = t.word;
      notes = t.string;
    };
    meta = struct [ ] {
      description = t.string;
      homepage = t.string;
      license = t.string;
      changelog = t.string;
      maintainers = strings;
    };
  };

  # One change of a source, and what the functions of changes.nix are given.
  change = struct [ ] { inherit patch; file = t.within; replace = map' t.string; add = file; };
  changes = {
    patchSource = list patch;
    substituteSource = within (map' t.string // { names = { expects = "a text to replace"; ok = v: v != ""; }; });
    addToSource = within file;
  };

  # One entry a kind of source: what says which kind it is, and the rest.
  sources = {
    github = struct [ "github" "hash" ] {
      github = { expects = "\"owner/repo\""; ok = v: builtins.isString v && builtins.match "[0-9A-Za-z._-]+/[0-9A-Za-z._-]+" v != null; };
      tag = t.string;
      rev = t.string;
      commit = t.commit; # that the tag pointed to; libre bump tells by it that a tag was moved
      hash = t.sri;
      date = t.date;
      archive = t.string;
      describe = t.boolean; # a .git with the tag, for upstreams that ask git for their version
    };
    git = struct [ "git" "rev" "hash" ] {
      git = t.string;
      rev = t.commit;
      forge = t.oneOf [ "forgejo" "gitea" ]; # whose releases libre bump asks for
      hash = t.sri;
      tag = t.string;
      date = t.date;
      describe = t.boolean;
    };
    goModule = struct [ "goModule" "version" "hash" ] {
      goModule = t.string;
      version = { expects = "a version like \"v1.2.3\""; ok = v: builtins.isString v && builtins.match "v[0-9A-Za-z.+-]+" v != null; };
      hash = t.sri;
      date = t.date;
    };
    url = struct [ "url" "hash" ] { url = t.string; hash = t.sri; date = t.date; };
    path = struct [ "path" ] { path = t.path; date = t.date; };
  };

}

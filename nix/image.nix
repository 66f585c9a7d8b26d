# One image's spec: plain data, from which the CLI computes the image key and builds the
# image. `skip` says why a system has no such image. The image key of a Containerfile
# component never forces `pkgs`; `fetch` does.
{ app, componentName, variant, system, pkgs, debugTools, githubServer, imageOf }:
let
  inherit (builtins) attrNames elemAt filter head mapAttrs toString;

  types = import ./types.nix;
  paths = import ./paths.nix;
  ports = import ./ports.nix;
  changedApp = if variant == "default" || variant == "debug" then app else app.applyVariant app variant;
  component = app.componentOf changedApp componentName;
  kind = app.componentKind component;
  source = import ./source.nix { app = changedApp; inherit githubServer; };
  where = "${app.name}: component ${componentName}";

  plain = builtins.unsafeDiscardStringContext;
  # A derivation as strings (toJSON would reduce a set with outPath to it); drv is null
  # for a path that needs no build.
  realisable = value: {
    drv = located (if builtins.isAttrs value && value ? drvPath then plain value.drvPath else null);
    out = located (plain "${value}");
  };

  # A package is evaluated where its path is needed, far from its definition. This adds
  # the definition's position to the trace of an error, for evalerror.go.
  located =
    let
      # Some functions lose positions.
      known = filter (position: position != null) [
        (builtins.unsafeGetAttrPos (if kind == "nix" then "package" else "containerfile") component)
        (app.positions."components.${componentName}" or null)
        app.positions.version
      ];
      at = if known == [ ] then null else head known;
    in
    if at == null then value: value
    else builtins.addErrorContext
      "while making the image ${app.name}/${componentName}/${variant}, defined at ${at.file}:${toString at.line}:${toString at.column}";

  callPackage = attribute: value:
    let built = if builtins.isFunction value then callFunction value else value; in
    if builtins.isAttrs built && built ? outPath then built
    else throw "${where}: ${attribute} returns ${types.show built}, expected a derivation";
  callFunction = value:
    let
      named = builtins.functionArgs value;
      all = {
        inherit pkgs system;
        inherit (changedApp) name version;
        inherit hashes;
        source = source.changed pkgs;
        inherit buildGoModule;
      };
    in
    value (if named == { } then all else builtins.intersectAttrs named all);
  known = import ./hash.nix;
  hashes = mapAttrs (_: hash: if builtins.isAttrs hash then mapAttrs (_: known) hash else known hash) changedApp.hashes;
  # The package set's buildGoModule, with arguments from the definition.
  buildGoModule = arguments:
    let
      vendorHash = hashes.vendorHash or null;
      defaults = {
        pname = changedApp.name;
        inherit (changedApp) version;
        src = source.changed pkgs;
        vendorHash = if builtins.isAttrs vendorHash then vendorHash.${system} else vendorHash;
      };
    in
    pkgs.buildGoModule (if builtins.isFunction arguments then final: defaults // arguments final else defaults // arguments);
  package = callPackage "package" component.package;
  server = if component ? server then callPackage "server" component.server else null;

  # A numeric user is "1001", 1001 or "1001:127".
  user =
    let
      ids = builtins.match "([0-9]+)(:([0-9]+))?" (toString (component.user or 1000));
      uid = elemAt ids 0;
      gid = if elemAt ids 2 == null then uid else elemAt ids 2;
    in
    { uid = builtins.fromJSON uid; gid = builtins.fromJSON gid; text = "${uid}:${gid}"; };

  resolve = paths.resolve component;

  # In a Nix image there is nothing for an empty list to override.
  config = if kind == "nix" then filterAttrs (value: value != [ ]) declared else declared;
  filterAttrs = ok: set: removeAttrs set (filter (n: !(ok set.${n})) (attrNames set));
  declared = builtins.intersectAttrs
    { entrypoint = null; command = null; workingDir = null; stopSignal = null; env = null; }
    component
  // (if component ? volumes then { volumes = paths.volumes component; } else { })
  // (if component ? ports then ports.exposed component else { })
  // (if health.command or null != null then { inherit health; } else { })
  // (if kind == "nix" then {
    user = user.text;
    entrypoint = resolve (component.entrypoint or [ ]);
    env = { PATH = "/app/bin"; SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt"; } // (component.env or { });
  } else if component ? user then { user = user.text; } else { });
  health = ports.check resolve component;

  # The data for labels and annotations.
  about = {
    description = component.description or app.meta.description or null;
    url = app.meta.homepage or null;
    license = component.license or app.meta.license or null;
    source = source.page;
    revision = source.revision;
    date = if app.source == null then null else app.source.date or null;
    needs = (import ./needs.nix).brief changedApp.needs;
    migration =
      if changedApp.migration == null then null
      else builtins.intersectAttrs { kind = null; minFrom = null; notes = null; } changedApp.migration;
  };

  bases = mapAttrs
    (name: base:
      if builtins.match "sha256:[0-9a-f]{64}" base != null then { digest = base; }
      else { image = removeAttrs (imageOf "${where}: base ${name}" base) [ "package" "parts" ]; })
    component.bases;

  rootfs = import ./rootfs.nix { inherit app componentName component pkgs package server user; };

  missingTools = pkgs.lacks.busybox or null;
  # In nixpkgs broken, unfree and insecure packages are not available either. They are
  # an error, which nixpkgs explains, and not a reason to skip the image.
  unsupported = value: builtins.isAttrs value && (value.meta.unsupported or false
    || !(value.meta.available or true)
    && !(value.meta.broken or false || value.meta.unfree or false || value.meta.insecure or false));
  # A package set that lacks something throws when it is used, and has the reason in
  # `lacks`.
  lacks = builtins.attrValues (pkgs.lacks or { });
  incomplete = lacks != [ ] && !(builtins.tryEval rootfs.tree.drvPath).success;
  skippedBases = filter (n: (bases.${n}.image.skip or null) != null) (attrNames bases);

  skip = located (
    if component ? systems && !(builtins.elem system component.systems)
    then "is for ${builtins.concatStringsSep ", " component.systems} only"
    else if variant == "debug" && missingTools != null then "has no debug tools: ${missingTools}"
    else if kind == "nix" && incomplete then head lacks
    else if kind == "nix" && unsupported package then "package ${package.name} is not available"
    else if kind != "nix" && skippedBases != [ ]
    then let base = bases.${head skippedBases}.image; in "base ${base.app}/${base.component}/${base.variant} ${base.skip}"
    else null
  );
  # A skipped image may not evaluate.
  unlessSkipped = value: if skip == null then value else null;
in
{
  inherit kind variant system config about skip;
  app = app.name;
  component = componentName;
  inherit (app) version packageVersion;

  # What the SBOM says of the program. It is in no image key.
  software = {
    source = source.description;
    inherit (source) patches;
    identifiers = changedApp.identifiers // component.identifiers;
  } // (if kind == "nix" then { program = unlessSkipped (plain "${package}"); } else { });

  # Whether the key needs `pkgs`.
  needsPkgs = kind == "nix" || variant == "debug"
    || builtins.any (n: bases.${n} ? image && bases.${n}.image.needsPkgs) (attrNames bases);
}
// (if kind == "nix" then {
  rootfs = unlessSkipped (realisable rootfs.tree);
  inherit (rootfs) owners;
} else {
  source = source.identity;
  file = component.containerfile;
  target = component.target or null;
  inherit (component) context args;
  contexts = mapAttrs (_: path: plain "${builtins.path { inherit path; name = "context"; }}") component.contexts;
  inherit bases;
  fetch = unlessSkipped (realisable (source.changed pkgs));
})
// (if kind == "nix" then { package = rootfs.tree; } else { })
// {
  # The packages by which inventory.nix reaches what is in the image.
  parts = (if kind == "nix" then [ package pkgs.cacert ] else [ ])
    ++ (if server == null then [ ] else [ server ])
    ++ (if variant == "debug" then [ pkgs.busybox ] ++ debugTools pkgs else [ ]);
}
// (if variant == "debug" then {
  tools = unlessSkipped (realisable (pkgs.symlinkJoin {
    name = "libre-debug-tools";
    paths = [ pkgs.busybox ] ++ debugTools pkgs;
  }));
} else { })

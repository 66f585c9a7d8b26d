# mkApp checks an application's definition and fills in defaults. The result is data (an
# "app"): variants are functions from an app to an app, and mkCatalogue turns it into
# metadata and image specs.
let
  inherit (builtins) attrNames concatMap concatStringsSep elem filter head isAttrs;

  t = import ./types.nix;
  schema = import ./schema.nix;
  changes = import ./changes.nix;
  paths = import ./paths.nix;
  ports = import ./ports.nix;
  rules = import ./rules.nix;

  componentKind = c: if c ? containerfile then "containerfile" else "nix";

  # An app's component with its defaults.
  componentOf = app: name:
    let c = app.components.${name}; in
    t.filled schema."${componentKind c}Component" c;

  # In checks, `at` is the position of the checked value, as in types.nix.
  checkComponent = at: where: c:
    if !(isAttrs c) then [ ] # the type check reports it
    else if !(c ? package) && !(c ? containerfile)
    then [ "${at}${where}: expected either package (a derivation) or containerfile (a file of the source)" ]
    else if c ? package && c ? containerfile
    then [ "${at}${where}: has both package and containerfile, expected one of them" ]
    else
      let wrong = t.check at where (if c ? package then schema.nixComponent else schema.containerfileComponent) c; in
      if wrong != [ ] then wrong else map (problem: at + problem) (paths.problems where c) ++ ports.problems at where c;

  checkSource = at: where: source:
    let kinds = filter (kind: source ? ${kind}) (attrNames schema.sources); in
    if !(isAttrs source) then [ ]
    else if builtins.length kinds != 1
    then [ "${at}${where}: expected exactly one of ${concatStringsSep ", " (attrNames schema.sources)}" ]
    else
      t.check at where schema.sources.${head kinds} source
      ++ (if head kinds == "github" && (source ? tag) == (source ? rev)
      then [ "${at}${where}: expected either tag or rev" ] else [ ])
      ++ (if source.describe or false == true && schema.sources.${head kinds}.fields ? describe && !(source ? tag)
      then [ "${t.placeOf source "describe" at}${where}: describe needs tag, for git describe" ] else [ ]);

  # Problems of a definition that the types do not find.
  checkWhole = at: where: args:
    let atComponent = c: t.placeOf args.components c at; in
    (if args.source or null != null then checkSource (t.placeOf args "source" at) "${where}: source" args.source else [ ])
    ++ concatMap (c: checkComponent (atComponent c) "${where}: component ${c}" args.components.${c}) (attrNames args.components)
    ++ concatMap
      (c: if args.source or null == null && args.components.${c} ? containerfile && !(args.components.${c} ? package) then [ "${atComponent c}${where}: component ${c}: a Containerfile needs a source" ] else [ ])
      (attrNames args.components)
    ++ (if args.components == { } then [ "${t.placeOf args "components" at}${where}: components is empty, expected at least one" ] else [ ])
    ++ concatMap
      (v: if elem v [ "default" "debug" ] then [ "${t.placeOf args.variants v at}${where}: variant ${v} is built in, choose another name" ] else [ ])
      (attrNames (args.variants or { }));

  # All problems; rules.nix needs the right types.
  checkAll = at: where: app: typed:
    let wrong = typed ++ checkWhole at where app; in
    if wrong == [ ] then rules.problems at where app else wrong;

  # A package that does not use the source ignores its changes: a build would silently
  # ship the unpatched program. tryEval, because a plain derivation would force pkgs.
  takesSource = package:
    (builtins.tryEval (builtins.isFunction package)).value
    && (let named = builtins.functionArgs package; in named == { } || named ? source || named ? buildGoModule);

  checkChanges = at: where: app:
    if app.changes == [ ] then [ ]
    else
      (if app.source == null then [ "${at}${where}: has patches but no source" ] else [ ])
      ++ concatMap
        (c:
          if app.components.${c} ? package && !(takesSource app.components.${c}.package)
          then [ "${t.placeOf app.components c at}${where}: component ${c}: the source is patched, but package ignores it: expected package = { source, ... }: …" ]
          else [ ])
        (attrNames app.components);

  # One problem a line, for evalerror.go.
  unless = problems: value: if problems == [ ] then value else throw (concatStringsSep "\n" problems);

  positionOf = set: name: builtins.unsafeGetAttrPos name set;
  positionsOf = set: prefix:
    builtins.listToAttrs (map
      (n: { name = "${prefix}${n}"; value = positionOf set n; })
      (filter (n: !(isAttrs set.${n})) (attrNames set)));

  # The positions of what `libre bump` and `libre patch` edit, from the caller's own
  # attribute sets, because mapAttrs loses positions.
  positions = args:
    {
      version = positionOf args "version";
      packageVersion = positionOf args "packageVersion";
    }
    // (if args ? patches then { patches = positionOf args "patches"; } else { })
    // positionsOf (args.variants or { }) "variants."
    // positionsOf (args.source or { }) "source."
    // positionsOf (args.hashes or { }) "hashes."
    // builtins.foldl' (all: n: all // positionsOf args.hashes.${n} "hashes.${n}.")
      { }
      (filter (n: isAttrs args.hashes.${n}) (attrNames (args.hashes or { })))
    // builtins.foldl'
      (all: c: all // { "components.${c}" = positionOf args.components c; }
        // positionsOf (args.components.${c}.bases or { }) "components.${c}.bases.")
      { }
      (attrNames args.components);

  withDefaults = args: removeAttrs (t.filled schema.app args) [ "patches" ] // {
    changes = [ ];
    positions = positions args;
  };

  # The result of a variant has the types of a definition; attributes that the app lacks
  # are null.
  checkTypes = at: where: app: changed:
    let other = filter (n: !(schema.app.fields ? ${n}) || changed.${n} == null) (attrNames changed); in
    t.check at where schema.app (removeAttrs changed other)
    ++ (if builtins.isList (changed.changes or null) && builtins.length changed.changes >= builtins.length app.changes
    then concatMap (t.check at "${where}: changes" schema.change) changed.changes
    else [ "${at}${where}: changes lacks the app's own: add to them with patchSource, substituteSource or addToSource" ]);

  applyVariant = app: variant:
    let
      where = "${app.name}: variant ${variant}";
      at = t.placeOf app.variants variant "";
      changed = app.variants.${variant} app;
      fixed = filter (n: changed.${n} or null != app.${n}) [ "name" "version" "packageVersion" "crossFrom" ];
      unknown = filter (c: !(app.components ? ${c})) (attrNames changed.components);
      missing = filter (c: !(changed.components ? ${c})) (attrNames app.components);
      known = concatStringsSep ", " (attrNames app.components);
    in
    if !(isAttrs changed) then throw "${at}${where} returns ${t.show changed}, expected the changed app"
    else if fixed != [ ] then throw "${at}${where} changes ${head fixed}, which a variant must not change"
    else if !(isAttrs (changed.components or null)) then throw "${at}${where}: components is not a set"
    else if unknown != [ ] then throw "${at}${where}: unknown component ${head unknown}, expected one of ${known}"
    else if missing != [ ] then throw "${at}${where}: component ${head missing} is missing"
    else unless (checkAll at where (removeAttrs changed [ "variants" ]) (checkTypes at where app changed))
      (unless (checkChanges at where changed) changed);
in
args:
let
  name = if isAttrs args && builtins.isString (args.name or null) then args.name else "mkApp";
  at = if isAttrs args then t.placeOf args "name" "" else "";
  typed = t.check at name schema.app args;
  problems =
    if isAttrs args && isAttrs (args.components or null) && isAttrs (args.variants or { }) then checkAll at name args typed else typed;
  app = changes.patchSource (withDefaults args) (args.patches or [ ]);
in
unless problems (unless (checkChanges at name app) (app // {
  inherit applyVariant componentKind componentOf;
}))

# What evaluation knows of the store paths of an image: licence, home page and the names in
# databases of vulnerabilities. Only what is asked for is evaluated.
#
# The packages are found from those that the image is made of, by the attributes of their
# derivations. A package that is named in a string alone is not reached by these: then the
# package set's attribute with its name counts, if it has the same path.
{ images, identifiers, pkgsOf }:
{ system
, app
, component
, variant
, paths # [ { path, pname, version } ], of the store; pname and version may be null
  # Also look packages up by their names. An attribute that cannot be evaluated ends the whole.
, names ? true
}:
let
  inherit (builtins) concatLists concatMap concatStringsSep deepSeq elem filter genericClosure head isAttrs isFunction
    isList isString listToAttrs map replaceStrings seq tryEval typeOf unsafeDiscardStringContext;

  spec = images.${system}.${app}.${component}.${variant};
  wanted = listToAttrs (map (entry: { name = entry.path; value = true; }) paths);

  quiet = value: let tried = tryEval value; in if tried.success then tried.value else null;
  isDerivation = value: isAttrs value && value.type or null == "derivation";
  # The derivations in an attribute of a derivation.
  derivationsIn = value:
    if isDerivation value then [ value ]
    else if isList value then concatMap derivationsIn value
    else [ ];
  keyOf = drv: quiet (unsafeDiscardStringContext drv.drvPath);
  node = drv: { key = keyOf drv; inherit drv; };
  nodes = drvs: filter (n: isString n.key) (map node drvs);
  inputs = drv: concatMap derivationsIn (builtins.attrValues (drv.drvAttrs or { }));
  reached = map (n: n.drv) (genericClosure {
    startSet = nodes (concatMap derivationsIn spec.parts);
    operator = n: nodes (inputs n.drv);
  });

  pathsOf = drv: filter isString (map (output: quiet (unsafeDiscardStringContext drv.${output}.outPath)) (drv.outputs or [ "out" ]));
  byPath = listToAttrs (concatMap
    (drv: map (path: { name = path; value = drv; }) (filter (path: wanted ? ${path}) (pathsOf drv)))
    reached);

  pkgs = pkgsOf app system;
  byName = entry:
    let found = quiet (pkgs.${entry.pname} or null); in
    if names && entry.pname != null && isDerivation found && elem entry.path (pathsOf found) then found else null;

  # An SPDX expression, from nixpkgs' licences. Several of them all apply.
  # https://nixos.org/manual/nixpkgs/stable/#sec-meta-license
  expression = license:
    if isString license then license
    else if isList license then
      let all = filter (text: text != null) (map expression license); in
      if all == [ ] then null else concatStringsSep " AND " all
    else if !(isAttrs license) then null
    else if license ? spdxId then license.spdxId
    else if license ? shortName then "LicenseRef-nixos-${replaceStrings [ " " "_" "+" "/" ] [ "-" "-" "-" "-" ] license.shortName}"
    else null;

  text = value: if isString value then value else null;
  first = value: if isList value then (if value == [ ] then null else head value) else value;
  given = entry:
    let
      named = identifiers.${entry.pname} or { };
    in
    if entry.pname == null then { }
    else if isFunction named then named (if entry.version == null then "*" else entry.version)
    else named;

  describe = entry:
    let
      drv = byPath.${entry.path} or (byName entry);
      meta = if drv == null then { } else drv.meta or { };
      identified = meta.identifiers or { };
      override = given entry;
    in
    {
      inherit (entry) path;
      known = drv != null;
      license = expression (meta.license or null);
      homepage = text (first (meta.homepage or null));
      cpe = text (override.cpe or identified.cpe or null);
      purl = text (override.purl or identified.purl or null);
    };
in
map
  (entry:
    let described = describe entry; tried = tryEval (deepSeq described described); in
    if tried.success then tried.value else { inherit (entry) path; known = false; })
  paths

# mkCatalogue: the flake outputs of a folder of apps.
#
#   outputs = { libre, nixpkgs, ... }: libre.lib.mkCatalogue { inherit nixpkgs; apps = ./apps; };
{ nixpkgs
, apps
  # The server of `github` sources, such as an Enterprise server in GITHUB_SERVER_URL.
, githubServer ? "https://github.com"
, systems ? [ "x86_64-linux" "aarch64-linux" ]
, debugTools ? _: [ ]
  # By what databases of vulnerabilities know packages, by pname: { cpe, purl }, or a
  # function from the version to it. It is in SBOMs, and not in images.
, identifiers ? { }
}:
let
  inherit (builtins) attrNames concatMap elem elemAt filter genList length listToAttrs mapAttrs;
  paths = import ./paths.nix;
  ports = import ./ports.nix;
  types = import ./types.nix;

  forAll = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);

  # An app is a folder with a default.nix, or a link to one. Other links with the name of
  # an app are an error, a link such as README.md is ignored. A link to itself aborts the
  # evaluation that follows it, so as few links as possible are followed here.
  entries = builtins.readDir apps;
  defined = n: builtins.pathExists (apps + "/${n}/default.nix");
  names = filter
    (n: entries.${n} == "directory" && builtins.readDir (apps + "/${n}") ? "default.nix"
      || entries.${n} == "symlink" && (builtins.match "[a-z0-9]+([_-][a-z0-9]+)*" n != null || defined n))
    (attrNames entries);

  load = name: extra:
    let
      define = import (apps + "/${name}");
      app = define (builtins.intersectAttrs (builtins.functionArgs define) ({
        inherit (import ./.) mkApp patchSource substituteSource addToSource;
      } // extra));
    in
    if !(defined name) then
      throw
        (if entries.${name} == "directory"
        then "apps/${name}/default.nix is a link, but its target is not in the catalogue: git must track both, in this repository"
        else "apps/${name} is a link, but its target has no default.nix in the catalogue: git must track both, in this repository")
    else if !(types.name.ok name) then throw "apps/${builtins.toJSON name}: expected a folder name of ${types.name.expects}: rename it"
    else if !(builtins.isFunction define) then throw "apps/${name}/default.nix: expected a function, { mkApp, ... }: mkApp { … }"
    else if !(builtins.isAttrs app && app ? applyVariant) then throw "apps/${name}/default.nix: expected the result of mkApp"
    else if app.name != name then throw "apps/${name}: name is \"${app.name}\", expected the folder's name"
    else app;

  # lib has only functions and needs no package, but it is a part of nixpkgs.
  lib = nixpkgs.lib or (throw "this package set has no lib: use nixpkgs");

  # Metadata never forces pkgs: it evaluates without access to nixpkgs.
  metadata = forAll names (name: load name {
    inherit lib;
    system = throw "apps/${name}: versions, source, ports and needs must be plain data, but use system";
    pkgs = throw "apps/${name}: versions, source, ports and needs must be plain data, but use pkgs";
  });

  variantsOf = app: [ "default" "debug" ] ++ attrNames app.variants;

  # A change as plain data; a path of the catalogue is a string, without a copy.
  changeData = change:
    (if change ? patch then { patch = if builtins.isPath change.patch then toString change.patch else change.patch.url; } else { inherit (change) file; })
    // builtins.intersectAttrs { replace = null; fixes = null; origin = null; } change
    // (if change ? add then { add = toString change.add; } else { });

  describe = app:
    let
      source = import ./source.nix { inherit app githubServer; };
      missing = (import ./rules.nix).missing metadata app;
    in
    if missing != [ ] then throw (builtins.concatStringsSep "\n" missing) else
    # An invalid variant is an error in listings too.
    builtins.deepSeq (map (v: attrNames (app.applyVariant app v).components) (attrNames app.variants)) {
      inherit (app) name version packageVersion hashes update migration meta positions;
      needs = (import ./needs.nix).brief app.needs;
      source =
        if app.source ? path then source.description // { path = toString app.source.path; }
        else source.description;
      variants = variantsOf app;
      # The changes of the app's source, then the additional ones by variant.
      changes = map changeData app.changes;
      variantChanges = mapAttrs
        (v: _:
          let changes = (app.applyVariant app v).changes; in
          map changeData (genList (i: elemAt changes (length app.changes + i)) (length changes - length app.changes)))
        app.variants;
      components = mapAttrs
        (name: given: let c = app.componentOf app name; in {
          kind = app.componentKind given;
          services = c.services or { };
          ports = ports.numbers c;
          protocols = ports.protocols c;
          health = ports.path c;
          healthCheck = ports.check (paths.resolve c) c;
          volumes = paths.volumes c;
          license = c.license or app.meta.license or null;
          description = c.description or null;
          systems = c.systems or systems;
          bases = c.bases or { };
          containerfile = c.containerfile or null;
          target = c.target or null;
        })
        app.components;
      # For the application document, by variant.
      described = forAll (variantsOf app) (v:
        import ./describe.nix (if v == "default" || v == "debug" then app else app.applyVariant app v));
    };

  # The names of systems in nixpkgs' pkgsCross.
  crossNames = { x86_64-linux = "gnu64"; aarch64-linux = "aarch64-multiplatform"; };
  pkgsFor = app: system:
    let native = nixpkgs.legacyPackages.${system}; in
    if app.crossFrom == null || app.crossFrom == system then native
    else if !(nixpkgs.legacyPackages ? ${app.crossFrom})
    then throw "${app.name}: crossFrom is ${builtins.toJSON app.crossFrom}, expected one of ${builtins.concatStringsSep ", " (attrNames nixpkgs.legacyPackages)}"
    else nixpkgs.legacyPackages.${app.crossFrom}.pkgsCross.${crossNames.${system} or system}
      # The host package set cross-compiles without pkgsCross.
      or (if native ? lacks then native else throw "${app.name}: crossFrom: the package set has no pkgsCross for ${system}");

  imagesOf = system:
    let
      images = forAll names (name:
        let
          pkgs = pkgsFor metadata.${name} system;
          app = load name { inherit pkgs system lib; };
        in
        mapAttrs
          (componentName: _:
            let circle = circleOf [ ] name componentName; in
            forAll (variantsOf app) (variant:
              if circle != [ ]
              then throw "${name}: component ${componentName}: its bases form a cycle: ${builtins.concatStringsSep " → " circle}"
              else import ./image.nix { inherit app componentName variant system pkgs debugTools githubServer imageOf; }))
          app.components);
      # A cycle of a component's bases, [ ] if there is none.
      circleOf = seen: app: component:
        let
          at = "${app}/${component}";
          bases = metadata.${app}.components.${component}.bases or { };
          next = filter (b: length b >= 2 && metadata ? ${elemAt b 0} && metadata.${elemAt b 0}.components ? ${elemAt b 1})
            (map (n: filter builtins.isString (builtins.split "/" bases.${n})) (attrNames bases));
        in
        if elem at seen then seen ++ [ at ]
        else builtins.foldl' (found: b: if found != [ ] then found else circleOf (seen ++ [ at ]) (elemAt b 0) (elemAt b 1)) [ ] next;
      # The image "app/component" or "app/component/variant" of a base.
      imageOf = where: reference:
        let
          parts = filter builtins.isString (builtins.split "/" reference);
          part = builtins.elemAt parts;
          variant = if builtins.length parts == 3 then part 2 else "default";
        in
        if !(elem (builtins.length parts) [ 2 3 ])
        then throw "${where} is \"${reference}\", expected \"sha256:…\" or \"app/component\""
        else images.${part 0}.${part 1}.${variant}
          or (throw "${where} is \"${reference}\", but the catalogue has no such image");
    in
    images;
  images = forAll systems imagesOf;

  # The source of an app, or of a variant ("" for the app), with the first of its changes, for
  # `libre edit`: as a realisable derivation, and what its content depends on.
  sourceOf = { system, app, variant, changes }:
    let
      pkgs = pkgsFor metadata.${app} system;
      loaded = load app { inherit pkgs system lib; };
      changed = if variant == "" then loaded else loaded.applyVariant loaded variant;
      source = import ./source.nix { inherit githubServer; app = changed // { changes = genList (elemAt changed.changes) changes; }; };
      tree = source.withChanges pkgs;
      plain = builtins.unsafeDiscardStringContext;
    in
    {
      drv = if builtins.isAttrs tree && tree ? drvPath then plain tree.drvPath else null;
      out = plain "${tree}";
      identity = builtins.hashString "sha256" (builtins.toJSON source.identity);
    };

  packagesOf = system:
    listToAttrs (concatMap
      (name:
        let app = metadata.${name}; in
        concatMap
          (component: map
            (variant: {
              name = "${name}-${component}-${variant}";
              value = images.${system}.${name}.${component}.${variant}.package;
            })
            (filter (v: v != "debug") (variantsOf app)))
          (filter (c: app.componentKind app.components.${c} == "nix") (attrNames app.components)))
      names);
in
{
  libre = {
    schema = 1;
    inherit systems;
    apps = mapAttrs (_: describe) metadata;
    images = mapAttrs (_: mapAttrs (_: mapAttrs (_: mapAttrs (_: spec: removeAttrs spec [ "package" "parts" ])))) images;
    inherit sourceOf;
    inventory = import ./inventory.nix { inherit images identifiers; pkgsOf = app: pkgsFor metadata.${app}; };
  };
  packages = forAll systems packagesOf;
}

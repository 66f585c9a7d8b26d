# Selects apps and images from the flake output `libre`.
{ patterns # [ { app, component, variant } ], each a regular expression for the whole name
, systems ? [ ] # of the images; null is all systems of the catalogue
, packages ? true # false omits what needs the package set
, described ? false # adds what the application document says
}:
let
  inherit (builtins) any attrNames concatMap elem filter listToAttrs map mapAttrs match;

  fits = pattern: name: match pattern name != null;
  selected = a: c: v: any (p: fits p.app a && fits p.component c && fits p.variant v) patterns;

  withoutPackages = spec:
    removeAttrs spec ([ "fetch" "package" "parts" ] ++ (if spec.needsPkgs then [ "rootfs" "owners" "tools" "skip" ] else [ ]))
    // { software = removeAttrs (spec.software or { }) [ "program" ]; }
    // (if spec ? bases then {
      bases = mapAttrs (_: b: if b ? image then { image = withoutPackages b.image; } else b) spec.bases;
    } else { });
in
libre:
if libre.schema != 1 then { inherit (libre) schema; }
else
  let
    names = attrNames libre.apps;
    chosen = filter (n: any (p: fits p.app n) patterns) names;
    imagesOf = system: concatMap
      (a: concatMap
        (c: concatMap
          (v: if selected a c v then [ libre.images.${system}.${a}.${c}.${v} ] else [ ])
          libre.apps.${a}.variants)
        (attrNames libre.apps.${a}.components))
      chosen;
  in
  {
    inherit (libre) schema systems;
    inherit names;
    apps = listToAttrs (map (name: { inherit name; value = removeAttrs libre.apps.${name} (if described then [ ] else [ "described" ]); }) chosen);
    images = map (if packages then spec: spec else withoutPackages)
      (concatMap imagesOf (if systems == null then libre.systems else filter (s: elem s libre.systems) systems));
  }

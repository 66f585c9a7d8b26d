# Changes to an app's source. Each function takes an app and returns an app, so they
# compose, in the app itself and in a variant. Changes are applied in the order in which
# they were added.
let
  t = import ./types.nix;
  schema = import ./schema.nix;

  # app // { changes = … }, after a check of the argument's type.
  change = function: app: given: new:
    let problems = t.check "" "${app.name}: ${function}" schema.changes.${function} given; in
    if problems != [ ] then throw (builtins.head problems)
    else app // { changes = app.changes ++ new; };

  # What a patch is, apart from what it is for: the latter must not be in an image key.
  patchChange = given:
    if !(builtins.isAttrs given) then { patch = given; }
    else
      { patch = given.file or { inherit (given) url hash; }; }
      // builtins.intersectAttrs { fixes = null; origin = null; } given
      // (if given ? url then { origin = given.url; } else { });
in
{
  # patchSource app [ ./fix.patch { url = "https://…"; hash = "sha256-…"; } { file = ./CVE-2026-1234.patch; } ]
  # Patch files, applied with `patch -p1`. In a set, `fixes` lists the vulnerabilities that
  # a patch fixes, and `origin` is the URL that a file comes from.
  patchSource = app: patches: change "patchSource" app patches (map patchChange patches);

  # substituteSource app { "src/theme.css" = { "Marianne" = "Roboto"; }; }
  # Literal replacements of every occurrence, by file. A text that is not found fails the
  # build, because upstream has changed.
  substituteSource = app: files:
    change "substituteSource" app files (map
      (file: { inherit file; replace = files.${file}; })
      (builtins.attrNames files));

  # addToSource app { "src/logo.svg" = ./logo.svg; "plugins" = ./plugins; }
  # Files and folders of the catalogue, added to the source or replacing its files.
  addToSource = app: files:
    change "addToSource" app files (map
      (file: { inherit file; add = files.${file}; })
      (builtins.attrNames files));
}

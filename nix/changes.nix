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
in
{
  # patchSource app [ ./fix.patch { url = "https://…"; hash = "sha256-…"; } ]
  # Patch files, applied with `patch -p1`.
  patchSource = app: patches: change "patchSource" app patches (map (patch: { inherit patch; }) patches);

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

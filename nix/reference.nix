# Generates docs/mkApp.md: the attributes of schema.nix as Markdown.
let
  inherit (builtins) attrNames concatStringsSep elem filter isAttrs isBool isInt isList isString map replaceStrings;

  schema = import ./schema.nix;
  needs = import ./needs.nix;

  # A default as Nix code.
  nix = value:
    if value == null then "null"
    else if isBool value || isInt value || isString value then builtins.toJSON value
    else if isList value then "[ ${concatStringsSep "" (map (v: "${nix v} ") value)}]"
    else if isAttrs value then "{ ${concatStringsSep "" (map (n: "${n} = ${nix value.${n}}; ") (attrNames value))}}"
    else throw "reference.nix: a default is not data";

  cell = replaceStrings [ "|" "\n" ] [ "\\|" " " ];
  code = text: "`${cell text}`";

  # The type of a value, in a cell; a struct has its own table.
  expected = type:
    if type ? same then "as `${type.same}`"
    else if type ? fields then "a set, see below"
    else if type ? each && type.each ? fields then "a set, each as below"
    else if type ? long then "${cell type.short.expects}, or a set, see below"
    else if type ? each && type.each ? long then "a set, each ${cell type.each.short.expects}, or a set as below"
    else cell type.expects or "a set";

  table = type:
    "| attribute | value | meaning |\n|---|---|---|\n"
    + concatStringsSep "" (map
      (name:
        let field = type.fields.${name}; in
        "| ${code name}${if elem name type.required then " (required)" else ""} | ${expected field}"
        + " | ${cell (field.doc or (throw "schema.nix: ${name} has no doc"))}"
        + (if field ? default && field.default != null then " Default: ${code (nix field.default)}." else "")
        + (if field ? example then " Example: ${code field.example}." else "")
        + " |\n")
      (inOrder type));
  # Required attributes first.
  inOrder = type: type.required ++ filter (n: !(elem n type.required)) (attrNames type.fields);

  # The tables of a struct and of its nested structs.
  section = level: title: type:
    "${level} ${title}\n\n${table type}\n"
    + concatStringsSep "" (map
      (name:
        let field = type.fields.${name}; in
        if field ? same then ""
        else if field ? fields then section "${level}#" (code name) field
        else if field ? long then section "${level}#" "${code name} as a set" field.long
        else if field ? each && field.each ? fields then section "${level}#" "each of ${code name}" field.each
        else if field ? each && field.each ? long then section "${level}#" "each of ${code name} as a set" field.each.long
        else "")
      (inOrder type));

  common = builtins.intersectAttrs schema.nixComponent.fields schema.containerfileComponent.fields;
  without = names: type: type // {
    fields = removeAttrs type.fields names;
    required = filter (n: !(elem n names)) type.required;
  };
  own = without (attrNames common);
in
''
  # Attributes of mkApp

  <!-- Generated from nix/schema.nix by nix/reference.nix: UPDATE_GOLDEN=1 go test ./docs -->

  `apps/NAME/default.nix` is a function that calls `mkApp` with these attributes. Its
  arguments can be `mkApp`, `patchSource`, `substituteSource`, `addToSource`, `pkgs`,
  `system` and `lib` (of nixpkgs). Names, versions, sources, ports and needs are plain
  data: they must not use `pkgs` or `system`.

''
+ section "##" "The app" schema.app
+ "### Parts of needs\n\nWhat values of `env` can have, by the kind of need. Those in bold are secret.\n\n| kind | parts |\n|---|---|\n"
+ concatStringsSep "" (map (kind: "| ${code kind} | ${concatStringsSep ", " (map (part: let name = code "$(${part})"; in if needs.parts.${kind}.${part} then "**${name}**" else name) (attrNames needs.parts.${kind}))} |\n") (attrNames needs.parts))
+ "\n## Sources\n\nExactly one of these kinds.\n\n"
+ concatStringsSep "" (map
  (kind: section "###" (code "source.${kind}") schema.sources.${kind})
  [ "github" "git" "goModule" "url" "path" ])
+ "## Components\n\n"
+ section "###" "Both kinds" { fields = common; required = [ ]; }
+ section "###" "Built by Nix" (own schema.nixComponent)
+ section "###" "Built by a Containerfile" (own schema.containerfileComponent)

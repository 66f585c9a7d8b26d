# The types of values in a definition: `ok` checks a value, `expects` describes the type
# in an error.
let
  inherit (builtins) all attrNames concatMap concatStringsSep elem filter isAttrs isBool
    isFloat isFunction isInt isList isPath isString match listToAttrs stringLength substring toJSON;

  # A value for an error message: short, on one line, also for values that JSON lacks.
  show = value:
    if isFunction value then "a function"
    else if isPath value then toString value
    else if isAttrs value then
      if value ? outPath then "a derivation"
      else if value == { } then "an empty set"
      else "a set with ${concatStringsSep ", " (attrNames value)}"
    else if isList value then "a list"
    else if isFloat value then "the float ${toString value}"
    else if isString value && !(isUTF8 value) then "not UTF-8"
    else if isString value && stringLength value > 200 then "${toJSON (substring 0 (cut 200 value) value)}…"
    else toJSON value;

  # The position to cut a text after at most n bytes, without cutting a character.
  cut = n: value: if n == 0 || isUTF8 (substring 0 n value) then n else cut (n - 1) value;

  # Checks UTF-8 by its bytes, which Nix code can only write as parts of characters. The
  # matcher needs stack for each byte, so longer texts are checked elsewhere.
  # https://www.rfc-editor.org/rfc/rfc3629#section-4
  isUTF8 =
    let
      hex = [ "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "a" "b" "c" "d" "e" "f" ];
      char = code: builtins.fromJSON ''"${code}"'';
      bytes = position: codes: "[${concatStringsSep "" (map (code: substring position 1 (char code)) codes)}]";
      tail = bytes 1 (concatMap (h: map (l: "\\u00${h}${l}") hex) [ "8" "9" "a" "b" ]);
      two = bytes 0 ([ "\\u0080" "\\u00c0" ]
        ++ concatMap (h: map (m: "\\u0${h}${m}0") [ "0" "4" "8" "c" ]) [ "1" "2" "3" "4" "5" "6" "7" ]);
      three = bytes 0 ([ "\\u0800" ] ++ map (h: "\\u${h}000") (filter (h: h != "0") hex));
      four = bytes 0 [ "\\ud800\\udc00" "\\ud8c0\\udc00" "\\ud9c0\\udc00" "\\udac0\\udc00" "\\udbc0\\udc00" ];
      character = "${two}${tail}|${three}${tail}${tail}|${four}${tail}${tail}${tail}";
    in
    text: stringLength text > 4096 || match "([[:cntrl:] -~]|${character})*" text != null;

  # A set that toJSON keeps as a set: with outPath or __toString it would become a string.
  isSet = value: isAttrs value && !(value ? outPath) && !(value ? __toString);
in
rec {
  inherit show isUTF8;

  string = { expects = "a string"; ok = v: isString v && isUTF8 v; };
  integer = { expects = "an integer"; ok = isInt; };
  boolean = { expects = "true or false"; ok = isBool; };
  path = { expects = "a path"; ok = isPath; };
  function = { expects = "a function"; ok = isFunction; };
  set = { expects = "a set"; ok = isSet; };
  # A value that metadata must not force is not checked.
  unforced = { expects = "a derivation or a function"; ok = _: true; };

  # Names and versions become image names and tags; a tag cannot have "+" and "~".
  word = {
    expects = "letters, digits, \".\", \"_\" and \"-\" only, beginning with a letter or digit";
    ok = v: isString v && match "[0-9A-Za-z][0-9A-Za-z._-]*" v != null;
  };
  # Repository names are lower case: https://github.com/opencontainers/distribution-spec
  name = {
    expects = "lower-case letters and digits, separated by \".\", \"_\" or \"-\"";
    ok = v: isString v && match "[a-z0-9]+([._-][a-z0-9]+)*" v != null;
  };
  # Empty until it is known: hash.nix.
  sri = {
    expects = "a hash like \"sha256-…\"";
    ok = v: isString v && match "(sha(256|512)-[0-9A-Za-z+/]+={0,2})?" v != null;
  };
  digest = {
    expects = "a digest like \"sha256:…\"";
    ok = v: isString v && match "sha256:[0-9a-f]{64}" v != null;
  };
  commit = { expects = "a commit of 40 hexadecimal digits"; ok = v: isString v && match "[0-9a-f]{40}" v != null; };
  # The ID of a vulnerability in a database: CVE-2026-1234, GHSA-4xqx-pqpj-9fqw, GO-2026-1.
  advisory = {
    expects = "the ID of a vulnerability like \"CVE-2026-1234\"";
    ok = v: isString v && stringLength v < 100 && match "[A-Z][0-9A-Za-z]*(-[0-9A-Za-z]+)+" v != null;
  };
  # https://nvlpubs.nist.gov/nistpubs/Legacy/IR/nistir7695.pdf
  cpe = {
    expects = "a CPE name like \"cpe:2.3:a:vendor:product:1.2.3:*:*:*:*:*:*:*\"";
    ok = v: isString v && stringLength v < 500 && match ''cpe:2[.]3:[aho](:([]!-9;-[^-~]|\\[!-~])+){10}'' v != null;
  };
  # https://github.com/package-url/purl-spec
  purl = {
    expects = "a package URL like \"pkg:generic/name@1.2.3\"";
    ok = v: isString v && stringLength v < 500 && match "pkg:[a-z][a-z0-9.-]*/[!-~]+" v != null;
  };
  date = { expects = "a date like \"2026-07-09\""; ok = v: isString v && match "[0-9]{4}-[0-9]{2}-[0-9]{2}" v != null; };
  mode = { expects = "a mode like \"0644\""; ok = v: isString v && match "[0-7]{3,4}" v != null; };
  # The matcher needs stack for each character.
  absolute = { expects = "an absolute path"; ok = v: isString v && builtins.stringLength v < 4096 && match "/[^[:cntrl:]]*" v != null; };
  # User IDs that every engine and Kubernetes accept.
  id = { expects = "an integer from 0 to 2147483647"; ok = v: isInt v && v >= 0 && v <= 2147483647; };
  # Numeric only: Kubernetes' runAsNonRoot does not support names.
  user = {
    expects = "a numeric user like \"1001\" or \"1001:127\", without leading zeros, each at most 2147483647";
    ok = v:
      let parts = builtins.filter isString (builtins.split ":" v); in
      if isInt v then id.ok v
      else
        isString v && builtins.length parts <= 2
        && all (n: match "0|[1-9][0-9]{0,9}" n != null && id.ok (builtins.fromJSON n)) parts;
  };

  # A name in an environment, NAME=value.
  variable = { expects = "a variable's name, without \"=\""; ok = v: isUTF8 v && match "[^=[:cntrl:]]+" v != null; };
  # A variable that shells, Kubernetes and Compose can set.
  envName = { expects = "a variable's name like \"DB_HOST\""; ok = v: isString v && match "[A-Za-z_][0-9A-Za-z_]*" v != null; };
  # https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
  quantity = { expects = "a quantity like \"250m\" or \"10Gi\""; ok = v: isString v && match "[0-9]{1,12}([.][0-9]{1,6})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?" v != null; };
  cron = {
    expects = "five fields of cron like \"15 3 * * *\"";
    ok = v: isString v && stringLength v < 100 && match "[0-9*/,-]+( [0-9*/,-]+){2}( [0-9A-Za-z*/,-]+){2}" v != null;
  };
  header = { expects = "the name of an HTTP header"; ok = v: isString v && match "[0-9A-Za-z-]+" v != null; };
  # What libre render reads, and the resources of operators have: internal/operator.
  range =
    let comparison = "([<>!]?=|[<>~^])? *v?[0-9*][0-9A-Za-z.*-]*"; in
    {
      expects = "a version constraint like \">=14, <18\"";
      ok = v: isString v && stringLength v < 100 && match " *${comparison}(( *, *| *[|][|] *| +)${comparison})* *" v != null;
    };
  extension = { expects = "the name of an extension like \"pg_trgm\""; ok = v: isString v && match "[a-z_][a-z0-9_-]{0,62}" v != null; };
  # A relative path of a file or folder in another folder.
  within = {
    expects = "a relative path like \"src/theme.css\", without \"..\"";
    ok = v: isUTF8 v && stringLength v < 4096 && match "[^/[:cntrl:]][^[:cntrl:]]*" v != null
      && !(elem ".." (filter isString (builtins.split "/" v)));
  };

  port = { expects = "an integer from 1 to 65535"; ok = v: isInt v && v > 0 && v < 65536; };
  seconds = { expects = "a number of seconds from 1 to 86400"; ok = v: isInt v && v > 0 && v <= 86400; };
  natural = { expects = "an integer of at least 1"; ok = v: isInt v && v > 0; };

  null' = { expects = "null"; ok = v: v == null; };
  either = types: {
    expects = concatStringsSep " or " (map (t: t.expects) types);
    ok = v: builtins.any (t: t.ok v) types;
  };
  oneOf = values: {
    expects = "one of ${concatStringsSep ", " values}";
    ok = v: elem v values;
  };
  list = type: {
    expects = "a list, each ${type.expects}";
    ok = v: isList v && all type.ok v;
    element = type;
  };

  # placeOf SET NAME OUTER: the position of an attribute, as "FILE:LINE:COLUMN: "; OUTER if
  # Nix does not know it.
  placeOf = set: name: outer:
    let at = builtins.unsafeGetAttrPos name set; in
    if at == null then outer else "${at.file}:${toString at.line}:${toString at.column}: ";

  # check AT WHERE TYPE VALUE: the problems of a value at position AT, as lines. For a
  # struct (a set of fields) and a map they have the name and position of the attribute.
  check = at: where: type: value:
    if type ? fields then checkStruct at where type value
    else if type ? long && isAttrs value then checkStruct at where type.long value
    else if type ? each then checkMap at where type value
    else if type.ok value then [ ]
    else if type ? element && isList value
    then map (v: "${at}${where} has ${show v}, expected each to be ${type.element.expects}") (filter (v: !(type.element.ok v)) value)
    else [ "${at}${where} is ${show value}, expected ${type.expects}" ];

  checkStruct = at: where: type: value:
    if !(isSet value) then [ "${at}${where} is ${show value}, expected a set" ]
    else
      let
        unknown = filter (n: !(type.fields ? ${n})) (attrNames value);
        missing = filter (n: !(value ? ${n})) (type.required or [ ]);
        known = filter (n: type.fields ? ${n}) (attrNames value);
      in
      map (n: "${placeOf value n at}${where}: unknown attribute ${n}, expected ${type.habits.${n} or "one of ${concatStringsSep ", " (attrNames type.fields)}"}") unknown
      ++ map (n: "${at}${where}: ${n} is missing, expected ${type.fields.${n}.expects or "a set"}") missing
      ++ builtins.concatMap (n: check (placeOf value n at) "${where}: ${n}" type.fields.${n} value.${n}) known;

  checkMap = at: where: type: value:
    if !(isSet value) then [ "${at}${where} is ${show value}, expected a set" ]
    else
      builtins.concatMap
        (n:
          if type ? names && !(type.names.ok n)
          then [ "${placeOf value n at}${where}: ${toJSON n} is not a valid name, expected ${type.names.expects}" ]
          else check (placeOf value n at) "${where} ${n}" type.each value.${n})
        (attrNames value);

  # filled TYPE VALUE: a struct's value with defaults for missing attributes. Existing
  # attributes keep their positions.
  filled = type: value:
    let known = filter (n: type.fields.${n} ? default) (attrNames type.fields); in
    listToAttrs (map (n: { name = n; value = type.fields.${n}.default; }) known) // value;

  # `habits` maps attribute names from other tools to the names here.
  struct = required: fields: { inherit required fields; };
  map' = each: {
    inherit each;
    expects = "a set, each ${each.expects or "a set"}";
    ok = v: isSet v && all (n: each.ok v.${n}) (attrNames v);
  };
  # same VALUE NAMES: one value under several names.
  same = value: names: listToAttrs (map (name: { inherit name value; }) names);
  # A short form of a value, or a set with details.
  orSet = short: long: {
    inherit short long;
    expects = "${short.expects}, or a set of ${concatStringsSep ", " (attrNames long.fields)}";
    ok = v: short.ok v || isSet v && check "" "" long v == [ ];
  };
  named = each: map' each // { names = name; };
}

# The inputs of a flake and their inputs, as data. Nothing else is evaluated.
flake: let
  inherit (builtins) attrNames concatMap filter functionArgs isAttrs isFunction isPath isString removeAttrs stringLength substring unsafeGetAttrPos;
  here = toString ./.;
  text = v:
    if isString v then v
    else if !isPath v then ""
    else if substring 0 (stringLength here + 1) (toString v) == here + "/" then "." + substring (stringLength here) (stringLength (toString v)) (toString v)
    else toString v;
  read = above: inputs: concatMap (name: let
    input = if isAttrs inputs.${name} then inputs.${name} else { };
  in [ {
    name = above + name;
    places = map (a: text input.${a}) (filter (a: input ? ${a}) [ "url" "path" ]);
    follows = input ? follows;
    line = (unsafeGetAttrPos name inputs).line or (unsafeGetAttrPos "outputs" flake).line or 0;
  } ] ++ read (above + name + "/") (input.inputs or { })) (attrNames inputs);
  # Arguments of outputs are inputs even if they are not declared.
  taken = if isFunction (flake.outputs or null) then removeAttrs (functionArgs flake.outputs) [ "self" ] else { };
in read "" (taken // flake.inputs or { })

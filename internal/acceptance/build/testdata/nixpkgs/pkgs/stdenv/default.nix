# stdenv: what all is built with is built itself, one stage after the other.
{ system, hostSystem }:
let
  tools = builtins.path { path = ../../bin; name = "bootstrap-tools"; };
  checkMeta = import ./check-meta.nix { inherit hostSystem; };
  suffix = if hostSystem == system then "" else "-${builtins.head (builtins.split "-" hostSystem)}-unknown-linux-gnu";

  bootstrap = name: env: script: derivation (env // {
    inherit name system;
    builder = "${tools}/busybox";
    args = [ "sh" "-euc" script "${tools}/busybox" ];
  });
  shell = bootstrap "bash-5.3" { stage = stages; } ''
    $0 mkdir -p $out/bin
    $0 cp $0 $out/bin/busybox
    for applet in $($0 --list); do [ $applet = busybox ] || $0 ln -s busybox $out/bin/$applet; done
  '';
  stages = builtins.foldl'
    (before: n: bootstrap "bootstrap-stage${toString n}" { inherit before; } "echo stage > $out")
    "none"
    (builtins.genList (n: n) 40);

  withOutputs = names: drv: extra:
    let
      output = name: (drv.${name} // extra // {
        drvPath = builtins.seq extra.handled drv.drvPath;
        outPath = builtins.seq extra.handled drv.${name}.outPath;
        outputName = name;
      } // builtins.listToAttrs (map (n: { name = n; value = output n; }) names));
    in
    output (builtins.head names);

  # Where attributes are structured, the builder finds them in a file.
  structured = names: ''
    for output in ${builtins.concatStringsSep " " names}; do
      path=$($0 sed "s/.*\"$output\":\"\([^\"]*\)\".*/\1/" .attrs.json)
      $0 mkdir -p $path
      $0 grep -o '"env":{.*' .attrs.json | $0 cut -d, -f1 > $path/$output
    done
  '';
in
rec {
  inherit tools;
  hostPlatform.system = hostSystem;
  buildPlatform.system = system;

  mkDerivation = args:
    let
      name = args.name or "${args.pname}${suffix}-${args.version}";
      outputs = args.outputs or [ "out" ];
      drv = derivation (removeAttrs args [ "meta" ] // {
        inherit name system outputs;
      } // (if args.__structuredAttrs or false then {
        builder = "${shell}/bin/busybox";
        args = [ "sh" "-euc" (structured outputs) "${shell}/bin/busybox" ];
      } else {
        builder = "${shell}/bin/busybox";
        args = [ "sh" "-euc" ''eval "$buildCommand"'' ];
        PATH = "${shell}/bin";
      }));
    in
    withOutputs outputs drv ({ inherit name; } // checkMeta name (args.meta or { }));
}

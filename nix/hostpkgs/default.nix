# The packages for one system. Everything is built on the build system; Go
# programs are cross-compiled.
{ system }:
let
  host =
    if builtins.pathExists ./host.json then builtins.fromJSON (builtins.readFile ./host.json)
    else throw "names and versions of apps must not need packages";
  buildSystem = host.system;

  # A part of the machine, as the CLI put it into the store.
  part = name: (builtins.fetchTree { type = "path"; inherit (host.${name}) path narHash; }).outPath;

  # The first shell: a static busybox takes its applet's name from argv[0], so
  # the file must be called busybox. https://www.busybox.net/FAQ.html#getting_started
  bootstrap = "${part "busybox"}/busybox";

  # One derivation, built by busybox's shell with `script`. `nativeBuildInputs`
  # are on PATH; other attributes are environment variables.
  runWith = shell: name: attrs: script: derivation ((removeAttrs attrs [ "nativeBuildInputs" "meta" "passthru" ]) // {
    inherit name;
    buildCommand = script;
    system = buildSystem;
    builder = shell;
    args = [ "sh" "-eu" "-c" ''eval "$buildCommand"'' ];
    PATH = builtins.concatStringsSep ":" (map (input: "${input}/bin") (attrs.nativeBuildInputs or [ ] ++ baseInputs shell));
  });
  baseInputs = shell: if shell == bootstrap then [ ] else [ buildBusybox ];

  # Version 2 only, whoever distributes it: https://busybox.net/license.html
  buildBusybox = runWith bootstrap "busybox-${host.busybox.version}" { busybox = bootstrap; } ''
    "$busybox" mkdir -p "$out/bin"
    "$busybox" cp "$busybox" "$out/bin/busybox"
    for applet in $("$busybox" --list); do
      [ "$applet" = busybox ] || "$busybox" ln -s busybox "$out/bin/$applet"
    done
  '' // { meta = { license.spdxId = "GPL-2.0-only"; homepage = "https://busybox.net"; identifiers.cpe = "cpe:2.3:a:busybox:busybox:${host.busybox.version}:*:*:*:*:*:*:*"; }; };

  # As in nixpkgs, an empty hash is one that nothing has.
  runCommand = name: attrs: script:
    runWith "${buildBusybox}/bin/busybox" name
      (if attrs.outputHash or null == "" then attrs // { outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; } else attrs)
      script
    // { inherit name; meta = attrs.meta or { }; } // (attrs.passthru or { });

  go = { outPath = part "go"; version = host.go.version; name = "go-${host.go.version}"; };

  # The version is a hash. In a store path's name, a version begins with a digit.
  cacert = runCommand "cacert-0.${host.cacert.version}"
    {
      bundle = "${part "cacert"}/ca-certificates.crt";
      # Mozilla's list: https://wiki.mozilla.org/CA/FAQ#License
      meta = { license.spdxId = "MPL-2.0"; homepage = "https://wiki.mozilla.org/CA"; };
    } ''
    mkdir -p $out/etc/ssl/certs
    cp "$bundle" $out/etc/ssl/certs/ca-bundle.crt
  '';

  fetchers = import ./fetchers.nix { inherit runCommand go cacert; };
in
fetchers // {
  inherit system runCommand go cacert;

  buildGoModule = import ./buildGoModule.nix { inherit runCommand go cacert system; };

  writeText = name: text: runCommand name { inherit text; } ''printf %s "$text" > $out'';

  # The folders' entries in one tree of links; the first of two wins.
  symlinkJoin = { name, paths, ... }: runCommand name { inherit paths; } ''
    mkdir -p $out
    for path in $paths; do
      (cd $path; find . -type d -exec mkdir -p "$out/{}" ';')
      (cd $path; find . ! -type d) | while read -r entry; do
        [ -e "$out/$entry" ] || [ -L "$out/$entry" ] || ln -s "$path/''${entry#./}" "$out/$entry"
      done
    done
  '';

  applyPatches = { src, patches ? [ ], name ? "source", postPatch ? "", ... }:
    runCommand name { inherit src patches postPatch; } ''
      cp -rP $src $out
      chmod -R u+w $out
      cd $out
      for patch in $patches; do patch -p1 < "$patch"; done
      eval "$postPatch"
    '';

  # What this machine cannot give for a system, with the reason.
  lacks = if system == buildSystem then { } else {
    busybox = "the host package set has busybox for ${buildSystem} only";
  };
  busybox =
    if system == buildSystem then buildBusybox
    else throw "the host package set has busybox for ${buildSystem} only";
}

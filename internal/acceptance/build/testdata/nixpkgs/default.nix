# Packages that are built on `system` and are for `hostSystem`, with the oddities
# that a definition meets in nixpkgs.
{ system, hostSystem ? system }:
let
  stdenv = import ./pkgs/stdenv { inherit system hostSystem; };
  inherit (stdenv) mkDerivation;
  pkgs = {
    inherit system stdenv;
    pkgsCross = {
      aarch64-multiplatform = import ./. { inherit system; hostSystem = "aarch64-linux"; };
      gnu64 = import ./. { inherit system; hostSystem = "x86_64-linux"; };
    };

    runCommand = name: env: buildCommand: mkDerivation ({ inherit name buildCommand; } // env);
    writeText = name: text: pkgs.runCommand name { inherit text; } ''printf %s "$text" > $out'';
    symlinkJoin = { name, paths }: pkgs.runCommand name { inherit paths; } ''
      mkdir -p $out
      for path in $paths; do cp -rs $path/. $out; chmod -R u+w $out; done
    '';
    cacert = mkDerivation {
      pname = "nss-cacert"; version = "3.100";
      buildCommand = "mkdir -p $out/etc/ssl/certs; echo none > $out/etc/ssl/certs/ca-bundle.crt";
    };
    busybox = mkDerivation {
      pname = "busybox"; version = "1.37.0";
      buildCommand = "mkdir -p $out/bin; cp ${stdenv.tools}/busybox $out/bin; ln -s busybox $out/bin/sh";
    };
    # What is for another system names it, as a compiled program would.
    hello = mkDerivation {
      pname = "hello"; version = "2.12";
      buildCommand = "mkdir -p $out/bin; echo ${hostSystem} > $out/bin/hello";
    };
    # Its first output is not "out"; that is needed at run time, "dev" is not.
    multi = mkDerivation {
      pname = "multi"; version = "8.0.1"; outputs = [ "bin" "dev" "man" "out" ];
      buildCommand = ''
        mkdir -p $out/lib $bin/bin $dev/include $man/share
        echo library > $out/lib/multi.so; echo $out/lib/multi.so > $bin/bin/multi; echo $out $bin > $dev/include/multi.h
      '';
    };
    structured = mkDerivation {
      pname = "structured"; version = "1.0"; __structuredAttrs = true; outputs = [ "out" "doc" ];
      env = { FLAGS = [ "with space" ]; nested.deep = true; };
    };
    # Named nowhere but in strings.
    data = mkDerivation { pname = "data"; version = "3"; buildCommand = "mkdir -p $out/share; echo ${pkgs.data-index} > $out/share/data"; };
    data-index = mkDerivation { pname = "data-index"; version = "1"; buildCommand = "echo index > $out"; };

    # With a licence of each shape, a source, and patches from both places.
    fetchurl = { url, text }: mkDerivation {
      name = baseNameOf url; inherit url;
      outputHashAlgo = "sha256"; outputHashMode = "flat"; outputHash = builtins.hashString "sha256" text;
      buildCommand = "printf %s ${text} > $out";
    };
    crypto = mkDerivation {
      pname = "crypto"; version = "3.0.13"; outputs = [ "bin" "out" ];
      src = pkgs.fetchurl { url = "https://example.org/crypto-3.0.13.tar"; text = "source"; };
      patches = [ ./pkgs/CVE-2026-1111.patch (pkgs.fetchurl { url = "https://example.org/ghsa-4xqx-pqpj-9fqw.diff"; text = "diff"; }) ];
      buildCommand = "mkdir -p $out/lib $bin/bin; echo lib > $out/lib/crypto; echo $out > $bin/bin/crypto";
      meta = { license = [ { spdxId = "Apache-2.0"; } { shortName = "own licence"; } ]; homepage = [ "https://crypto.example" ]; };
    };
    compress = mkDerivation {
      pname = "compress"; version = "1.3"; buildCommand = "mkdir $out; echo ${pkgs.hidden-in-nixpkgs} > $out/needs";
      buildInputs = [ pkgs.identified ];
      meta.license = { spdxId = "Zlib"; shortName = "zlib"; };
    };
    identified = mkDerivation {
      pname = "identified"; version = "2"; buildCommand = "echo x > $out";
      meta = { license = "MIT OR ISC"; identifiers.cpe = "cpe:2.3:a:own:identified:2:*:*:*:*:*:*:*"; };
    };
    hidden-in-nixpkgs = mkDerivation {
      pname = "hidden"; version = "0.1"; src = pkgs.fetchurl { url = "https://example.org/hidden.tar"; text = "hidden"; };
      buildCommand = "echo x > $out"; meta.license.spdxId = "MIT";
    };
    misstated = mkDerivation { pname = "misstated"; version = "1"; buildCommand = "echo x > $out"; meta.license = "do what you want"; };
    # Its pname is that of an attribute whose evaluation cannot go on.
    called-badly = mkDerivation { pname = "mistaken"; version = "4"; buildCommand = "echo x > $out"; meta.license.spdxId = "MIT"; };
    throwing = mkDerivation { pname = "throwing"; version = "1"; buildCommand = "echo x > $out"; meta.license = { spdxId = throw "no"; }; };

    unavailable = mkDerivation { pname = "unavailable"; version = "1"; meta.platforms = [ "x86_64-darwin" ]; buildCommand = "false"; };
    broken = mkDerivation { pname = "broken"; version = "1"; meta.broken = true; buildCommand = "false"; };
    unfree = mkDerivation { pname = "unfree"; version = "1"; meta.license = { shortName = "unfree"; free = false; }; buildCommand = "false"; };
    insecure = mkDerivation { pname = "insecure"; version = "1"; meta.knownVulnerabilities = [ "CVE-2026-1" ]; buildCommand = "false"; };
    needs-broken = mkDerivation { pname = "needs-broken"; version = "1"; buildCommand = "echo ${pkgs.broken} > $out"; };
    renamed = throw "'renamed' has been renamed to 'hello'"; # as aliases.nix does
    mistaken = import ./pkgs/mistaken.nix { inherit mkDerivation; };
    failing = mkDerivation { pname = "failing"; version = "1"; buildCommand = "echo no such option >&2; exit 3"; };
  };
in
pkgs // import ./pkgs/builders.nix { inherit stdenv; }

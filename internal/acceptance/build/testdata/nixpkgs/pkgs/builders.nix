# nixpkgs' builders for languages: each takes the arguments that it has in nixpkgs, and no
# other, and has dependencies whose hash is a lock file's.
{ stdenv }:
let
  inherit (builtins) attrNames elem filter head;

  common = [ "pname" "version" "src" "nativeBuildInputs" "buildInputs" "doCheck" "env" "buildPhase" "installPhase" "postInstall" "meta" ];
  only = name: known: args:
    let
      unknown = filter (n: !(elem n (common ++ known))) (attrNames args);
      missing = filter (n: !(args ? ${n})) [ "pname" "version" "src" ];
    in
    if unknown != [ ] then throw "${name} has no argument ${head unknown}"
    else if missing != [ ] then throw "${name} needs ${head missing}"
    else args;
  # A hash is never that of an absent attribute.
  dependencies = name: hash: lock: stdenv.mkDerivation {
    inherit name lock;
    outputHash = hash;
    outputHashMode = "recursive";
    buildCommand = "mkdir $out; cp $lock $out/lock";
  };
  program = args: stdenv.mkDerivation (args // { buildCommand = "mkdir -p $out/bin; touch $out/bin/${args.pname}"; });
  hook = name: stdenv.mkDerivation { pname = name; version = "1"; buildCommand = "mkdir $out"; };
  python = name: stdenv.mkDerivation { pname = "python3-${name}"; version = "1"; buildCommand = "mkdir $out"; };
in
rec {
  # https://github.com/NixOS/nixpkgs/blob/master/pkgs/build-support/node/build-npm-package/default.nix
  buildNpmPackage = args:
    program (removeAttrs
      (only "buildNpmPackage" [ "npmDepsHash" "npmDeps" "npmBuildScript" "dontNpmBuild" "npmFlags" "npmInstallFlags" "npmBuildFlags" "npmWorkspace" "nodejs" "makeCacheWritable" ] args)
      [ "npmDepsHash" ] // { npmDeps = dependencies "npm-deps" args.npmDepsHash "${args.src}/package-lock.json"; });

  # https://github.com/NixOS/nixpkgs/blob/master/pkgs/build-support/node/fetch-pnpm-deps/default.nix
  fetchPnpmDeps = { pname, version, src, hash, fetcherVersion, pnpm ? null, pnpmWorkspaces ? [ ], prePnpmInstall ? "", pnpmInstallFlags ? [ ] }:
    assert elem fetcherVersion [ 1 2 3 ];
    dependencies "${pname}-pnpm-deps" hash "${src}/pnpm-lock.yaml";
  # https://github.com/NixOS/nixpkgs/blob/master/pkgs/build-support/node/fetch-yarn-deps/default.nix
  fetchYarnDeps = { yarnLock, hash, name ? "offline" }: dependencies name hash yarnLock;
  yarn-berry = hook "yarn-berry" // {
    # https://nixos.org/manual/nixpkgs/stable/#javascript-yarn-v3-v4
    fetchYarnBerryDeps = { src, hash, missingHashes ? null }: dependencies "yarn-berry-deps" hash "${src}/yarn.lock";
    yarnBerryConfigHook = hook "yarn-berry-config-hook";
  };
  nodejs = hook "nodejs";
  pnpm = hook "pnpm";
  pnpmConfigHook = hook "pnpm-config-hook";
  yarnConfigHook = hook "yarn-config-hook";
  yarnBuildHook = hook "yarn-build-hook";
  yarnInstallHook = hook "yarn-install-hook";

  # https://nixos.org/manual/nixpkgs/stable/#buildpythonpackage-parameters
  python3Packages = {
    buildPythonApplication = args:
      let checked = only "buildPythonApplication" [ "pyproject" "build-system" "dependencies" "optional-dependencies" "pythonRelaxDeps" "pythonRemoveDeps" "pythonImportsCheck" ] args; in
      assert checked.pyproject;
      program checked;
    hatchling = python "hatchling";
    django = python "django";
    psycopg = python "psycopg";
  };

  # https://github.com/NixOS/nixpkgs/blob/master/pkgs/build-support/rust/build-rust-package/default.nix
  rustPlatform.buildRustPackage = args:
    program (removeAttrs (only "buildRustPackage" [ "cargoHash" "cargoLock" "cargoBuildFlags" "buildFeatures" "cargoRoot" "buildAndTestSubdir" ] args)
      [ "cargoHash" ] // { cargoDeps = dependencies "cargo-deps" args.cargoHash "${args.src}/Cargo.lock"; });

  # https://github.com/NixOS/nixpkgs/blob/master/pkgs/build-support/php/builders/v2/build-composer-project.nix
  php.buildComposerProject2 = args:
    program (removeAttrs (only "buildComposerProject2" [ "vendorHash" "php" "composerLock" "composerNoDev" "composerNoPlugins" "composerNoScripts" "composerStrictValidation" ] args)
      [ "vendorHash" ] // { composerVendor = dependencies "composer-vendor" args.vendorHash "${args.src}/composer.lock"; });

  # https://github.com/NixOS/nixpkgs/blob/master/pkgs/build-support/go/module.nix
  buildGoModule = args:
    program (removeAttrs (only "buildGoModule" [ "vendorHash" "modRoot" "subPackages" "ldflags" "tags" "proxyVendor" "excludedPackages" ] args)
      [ "vendorHash" "env" ] // (if args.vendorHash == null then { } else { goModules = dependencies "go-modules" args.vendorHash "${args.src}/go.sum"; }));
}

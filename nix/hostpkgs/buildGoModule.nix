# buildGoModule with nixpkgs' arguments, without a C compiler: the dependencies
# are the tree that `go mod vendor` makes, so one vendorHash serves both package
# sets. https://nixos.org/manual/nixpkgs/stable/#sec-language-go
{ runCommand, go, cacert, system }:
let
  goarch = { x86_64-linux = "amd64"; aarch64-linux = "arm64"; }.${system};

  environment = ''
    export HOME=$TMPDIR GOPATH=$TMPDIR/go GOTOOLCHAIN=local
    export GOOS=linux CGO_ENABLED=0
  '';

  # The standard library, compiled once for all programs: what a program's bytes
  # are does not depend on whether Go finds it in its cache.
  standardLibrary = runCommand "go-${go.version}-std-${goarch}" { nativeBuildInputs = [ go ]; GOARCH = goarch; } ''
    ${environment}
    export GOCACHE=$out
    go build -trimpath -p ''${NIX_BUILD_CORES:-1} std
  '';

  setup = ''
    ${environment}
    export GOCACHE=$TMPDIR/cache
    cp -rP $src $TMPDIR/source
    chmod -R u+w $TMPDIR/source
    cd $TMPDIR/source
    for patch in $patches; do patch -p1 < "$patch"; done
    eval "$postPatch"
    cd "$modRoot"
  '';
in
{ src
, vendorHash
, pname ? null
, version ? null
, name ? "${pname}-${version}"
, modRoot ? "."
, subPackages ? [ ]
, ldflags ? [ ]
, tags ? [ ]
, patches ? [ ]
, postPatch ? ""
, preBuild ? ""
, postInstall ? ""
, doCheck ? true
, checkFlags ? [ ]
, env ? { }
, meta ? { }
, passthru ? { }
, ...
}:
let
  vendor = runCommand "${name}-go-modules"
    {
      inherit src patches postPatch modRoot;
      nativeBuildInputs = [ go ];
      outputHash = vendorHash;
      outputHashMode = "recursive";
      impureEnvVars = [ "GOPROXY" "GONOSUMDB" "GONOPROXY" "http_proxy" "https_proxy" "no_proxy" "HTTP_PROXY" "HTTPS_PROXY" "NO_PROXY" ];
      SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    } ''
    ${setup}
    export GOSUMDB=off GOFLAGS=-modcacherw
    if [ -d vendor ]; then
      echo "${name}: the source has a vendor folder: set vendorHash = null" >&2
      exit 1
    fi
    go mod vendor
    if [ -d vendor ]; then cp -r vendor $out; else mkdir $out; fi
  '';

  words = builtins.concatStringsSep " ";
in
runCommand name
  (env // {
    inherit src patches postPatch preBuild postInstall modRoot meta;
    nativeBuildInputs = [ go ];
    ldflags = words (ldflags ++ [ "-buildid=" ]);
    checkFlags = words checkFlags;
    tags = builtins.concatStringsSep "," tags;
    packages = map (p: if builtins.substring 0 1 p == "." then p else "./${p}") subPackages;
    GOARCH = goarch;
    inherit standardLibrary;
    # A binary that names its toolchain would drag all of it into the image.
    disallowedReferences = [ go.outPath ];
    passthru = { inherit meta; goModules = vendor; pname = pname; version = version; } // passthru;
  } // (if vendorHash == null then { } else { goModules = vendor; })) ''
  ${setup}
  cp -r $standardLibrary $GOCACHE
  chmod -R u+w $GOCACHE
  export GOPROXY=off GOSUMDB=off GOFLAGS="-mod=vendor -trimpath"
  if [ -n "''${goModules-}" ]; then
    rm -rf vendor
    cp -r $goModules vendor
    chmod -R u+w vendor
  fi
  eval "$preBuild"
  if [ -z "$packages" ]; then
    packages=$(go list -tags "$tags" -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./... | grep -v -e '/_' -e /examples -e /Godeps -e /testdata || true)
    [ -n "$packages" ] || { echo "${name}: no main package, name one in subPackages" >&2; exit 1; }
  fi
  mkdir -p $out/bin
  go build -p ''${NIX_BUILD_CORES:-1} -tags "$tags" -ldflags "$ldflags" -o $out/bin/ $packages
  ${if doCheck then ''
    # Programs of another architecture do not run here.
    [ "$GOARCH" != "$(GOARCH= go env GOHOSTARCH)" ] || go test -p ''${NIX_BUILD_CORES:-1} -tags "$tags" $checkFlags $packages
  '' else ""}
  eval "$postInstall"
''

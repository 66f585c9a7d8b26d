# buildGoModule with nixpkgs' arguments, without a C compiler: the dependencies
# are the tree that `go mod vendor` makes, so one vendorHash serves both package
# sets. https://nixos.org/manual/nixpkgs/stable/#sec-language-go
{ runCommand, go, cacert, system }:
let
  goarch = { x86_64-linux = "amd64"; aarch64-linux = "arm64"; }.${system};

  environment = ''
    export HOME=$TMPDIR GOPATH=$TMPDIR/go GOTOOLCHAIN=local
    export GOOS=linux CGO_ENABLED=0
    export GOGC=1000 # compilers live for a second: collecting garbage is a fifth of it
  '';

  # The same for all that is compiled, so that programs find it in the cache.
  # nixpkgs strips what debuggers read; here it is not made. Traces need none of it.
  flags = "-trimpath -gcflags=all=-dwarf=false";

  # What every web application uses of the standard library, compiled once for all
  # programs. The rest each compiles as it needs it: what a program's bytes are does not
  # depend on whether Go finds a package in its cache.
  standardLibrary = runCommand "go-${go.version}-std-${goarch}" { nativeBuildInputs = [ go ]; GOARCH = goarch; } ''
    ${environment}
    export GOCACHE=$out
    go build ${flags} -p ''${NIX_BUILD_CORES:-1} net/http/httptest os/signal testing
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
  buildTags = builtins.concatStringsSep "," tags;

  # The vendored packages, compiled once for all programs and variants that have the
  # same: of the source, this knows no more. What does not compile by itself is left
  # to the program, which may not need it. It is what Go's cache has more than the
  # standard library's.
  dependencies = runCommand "${name}-go-dependencies"
    { goModules = vendor; nativeBuildInputs = [ go ]; GOARCH = goarch; tags = buildTags; inherit standardLibrary; } ''
    ${environment}
    mkdir $out
    [ -e $goModules/modules.txt ] || exit 0
    cp -r $standardLibrary/. $out
    chmod u+w $out $out/* # Go adds files and changes none
    export GOCACHE=$out GOPROXY=off GOFLAGS="-mod=vendor ${flags}"
    mkdir $TMPDIR/source
    cd $TMPDIR/source
    cp -r $goModules vendor
    {
      echo "module dependencies"
      echo "go ${go.version}"
      # What `go build -mod=vendor` compares: https://go.dev/ref/mod#vendoring
      awk '
        $1 == "#" { module = $2 " " $3 }
        $1 == "##" && $2 ~ /^explicit/ { print "require " module }
        $1 == "#" && / => / { sub(/^#/, "replace"); print }
      ' vendor/modules.txt
    } > go.mod
    go build -p ''${NIX_BUILD_CORES:-1} -tags "$tags" $(grep -v '^#' vendor/modules.txt) || true
    (cd $standardLibrary; find . -type f) | (cd $out; xargs rm)
  '';
in
runCommand name
  (env // {
    inherit src patches postPatch preBuild postInstall modRoot meta;
    nativeBuildInputs = [ go ];
    ldflags = words (ldflags ++ [ "-buildid=" ]);
    checkFlags = words checkFlags;
    tags = buildTags;
    packages = map (p: if builtins.substring 0 1 p == "." then p else "./${p}") subPackages;
    GOARCH = goarch;
    inherit standardLibrary;
    # A binary that names its toolchain would drag all of it into the image.
    disallowedReferences = [ go.outPath ];
    passthru = { inherit meta; goModules = vendor; pname = pname; version = version; } // passthru;
  } // (if vendorHash == null then { } else { inherit dependencies; goModules = vendor; })) ''
  ${setup}
  mkdir $GOCACHE
  for compiled in $standardLibrary ''${dependencies-}; do
    cp -r $compiled/. $GOCACHE
    chmod u+w $GOCACHE $GOCACHE/* # Go adds files and changes none
  done
  export GOPROXY=off GOSUMDB=off GOFLAGS="-mod=vendor ${flags}"
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
    [ "$GOARCH" != "$(GOARCH= go env GOHOSTARCH)" ] || go test -vet=off -p ''${NIX_BUILD_CORES:-1} -tags "$tags" $checkFlags $packages
  '' else ""}
  eval "$postInstall"
''

# fetchurl, fetchzip and fetchFromGitHub with nixpkgs' arguments and hashes: a
# small Go program downloads and unpacks, in a fixed-output derivation.
{ runCommand, go, cacert }:
let
  proxies = [ "http_proxy" "https_proxy" "no_proxy" "HTTP_PROXY" "HTTPS_PROXY" "NO_PROXY" ];

  fetch = runCommand "libre-fetch" { nativeBuildInputs = [ go ]; src = ./fetch; } ''
    mkdir -p $out/bin $TMPDIR/fetch $TMPDIR/go/src
    cp $src/*.go $TMPDIR/fetch
    cd $TMPDIR/fetch
    export HOME=$TMPDIR GOPATH=$TMPDIR/go GOCACHE=$TMPDIR/cache GOTOOLCHAIN=local GO111MODULE=off CGO_ENABLED=0
    # Go has what reads zstd, and keeps it to itself.
    cp -r $(go env GOROOT)/src/internal/zstd $TMPDIR/go/src/zstd
    printf 'package main\n\nimport (\n"io"\n\n"zstd"\n)\n\nfunc init() { openZstd = func(r io.Reader) io.Reader { return zstd.NewReader(r) } }\n' > zstd.go
    go build -trimpath -o $out/bin/fetch .
  '';

  fixed = mode: { name, url, hash }: runCommand name
    {
      inherit url;
      nativeBuildInputs = [ fetch ];
      outputHash = hash;
      outputHashMode = mode;
      impureEnvVars = proxies ++ [ "NIX_LIBRE_ARCHIVE_LIMIT" ];
      SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    };

  # Store names have no room for every character of a URL.
  nameOf = url:
    let name = builtins.substring 0 200 (builtins.concatStringsSep "-" (builtins.filter builtins.isString
      (builtins.split "[^0-9A-Za-z+._?=-]" (baseNameOf url)))); in
    if builtins.match "[.].*" name != null || name == "" then "file${name}" else name;

  fetchzip = { url, hash, name ? "source", ... }:
    fixed "recursive" { inherit name url hash; } ''fetch -unpack "$url" "$out"''; # xz, of busybox, is in PATH
in
{
  inherit fetchzip;
  # An archive, unpacked by what is in it, whatever its URL is.
  fetchArchive = fetchzip;

  fetchurl = { url, hash, name ? nameOf url, ... }:
    fixed "flat" { inherit name url hash; } ''fetch "$url" "$out"'';

  fetchFromGitHub = { owner, repo, hash, rev ? null, tag ? null, name ? "source", ... }: fetchzip {
    inherit name hash;
    url = "https://github.com/${owner}/${repo}/archive/${if tag != null then "refs/tags/${tag}" else rev}.tar.gz";
  };
}

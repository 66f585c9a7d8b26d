# An app's source: its identity, for image keys, which needs no pkgs, and the derivation
# that fetches and changes it.
{ app, githubServer }:
let
  inherit (builtins) elemAt genList head isAttrs isPath length;
  inherit (app) changes;
  known = import ./hash.nix;
  source = if app.source ? hash then app.source // { hash = known app.source.hash; } else app.source;

  # A path of the catalogue, by content: its store path depends neither on the folder of
  # the checkout nor on other files.
  ofPath = path: builtins.path {
    inherit path;
    name = builtins.replaceStrings [ " " "~" "@" ] [ "-" "-" "-" ] (baseNameOf path);
  };

  contentOf = value: if isPath value then "${ofPath value}" else value;
  changeIdentity = change:
    builtins.mapAttrs
      (n: value:
        if n == "patch" && isAttrs value then value.hash
        else if n == "patch" then builtins.hashFile "sha256" value
        else builtins.unsafeDiscardStringContext (contentOf value))
      (removeAttrs change [ "replace" "fixes" "origin" ])
    // (if change ? replace then { inherit (change) replace; } else { });

  tagOf = s: s.tag or s.rev;
  githubArchive = s:
    "${githubServer}/${s.github}/archive/${if s ? tag then "refs/tags/" else ""}${tagOf s}.tar.gz";

  # An unpacked archive. nixpkgs' fetchzip detects the format from the URL, and fails on
  # /download?id=1; for other URLs unpack-archive.sh detects it from the content.
  fetchArchive = pkgs: url: hash:
    let
      named = builtins.match ".*[.](tar|tar[.]gz|tgz|tar[.]xz|txz|tar[.]bz2|tbz2|zip)" url != null;
      byContent = {
        name = "source";
        inherit url hash;
        recursiveHash = true;
        downloadToTemp = true;
        nativeBuildInputs = [ pkgs.unzip pkgs.zstd ];
        postFetch = builtins.readFile ./unpack-archive.sh;
      };
    in
    if pkgs ? fetchArchive then pkgs.fetchArchive { name = "source"; inherit url hash; }
    else if named then pkgs.fetchzip { name = "source"; inherit url hash; }
    else pkgs.fetchurl byContent;

  # The release's date in seconds since 1970, the time of all files in an image.
  # https://howardhinnant.github.io/date_algorithms.html#days_from_civil
  secondsOf = date:
    let
      part = map (text: builtins.fromJSON (head (builtins.match "0*([0-9]+)" text)))
        (builtins.match "([0-9]{4})-([0-9]{2})-([0-9]{2})" date);
      month = elemAt part 1;
      year = if month > 2 then elemAt part 0 else elemAt part 0 - 1; # a year begins in March
      dayOfYear = (153 * (if month > 2 then month - 3 else month + 9) + 2) / 5 + elemAt part 2 - 1;
    in
    86400 * (365 * year + year / 4 - year / 100 + year / 400 + dayOfYear - 719468);

  # The program that adds a git repository to a folder. Both package sets have Go, and the
  # output depends neither on its version nor on that of git.
  describer = pkgs: pkgs.runCommand "libre-describe"
    {
      nativeBuildInputs = [ pkgs.go ];
      src = builtins.path { path = ./describe; name = "describe"; filter = path: _: builtins.match ".*_test[.]go" path == null; };
    } ''
    mkdir -p $out/bin $TMPDIR/describe
    cp $src/*.go $TMPDIR/describe
    cd $TMPDIR/describe
    export HOME=$TMPDIR GOPATH=$TMPDIR/go GOCACHE=$TMPDIR/cache GOTOOLCHAIN=local GO111MODULE=off CGO_ENABLED=0
    # That of a package set which compiles for another system makes programs for that one.
    export GOOS=$(go env GOHOSTOS) GOARCH=$(go env GOHOSTARCH)
    go build -trimpath -o $out/bin/describe .
  '';
in
rec {
  # Data for metadata and labels.
  kind =
    if source == null then null
    else builtins.head (builtins.filter (k: source ? ${k}) [ "github" "git" "goModule" "url" "path" ]);
  page = {
    github = "${githubServer}/${source.github}";
    git = source.git;
    goModule = "https://${source.goModule}";
    url = source.url;
    path = null;
  }.${if kind == null then "path" else kind};
  revision =
    if kind == "goModule" then source.version
    else source.tag or source.rev or null;

  # The definition's source, as data.
  description = if source == null then null else removeAttrs app.source [ "path" ] // { inherit kind page revision; };
  # The patches, as data: by what a scanner or a reader recognises them.
  patches = map
    (change:
      let file = change.patch; in {
        name = baseNameOf (if isAttrs file then file.url else toString file);
        hash = if isAttrs file then file.hash else "sha256:${builtins.hashFile "sha256" file}";
        url = change.origin or null;
        fixes = change.fixes or [ ];
      })
    (builtins.filter (change: change ? patch) changes);

  # Everything that the content of the changed source depends on, and nothing else.
  identity =
    if source == null then null
    else {
      source = source.hash or (builtins.unsafeDiscardStringContext "${ofPath source.path}");
      changes = map changeIdentity changes;
    } // (if described then { describe = { inherit (source) tag; time = date; }; } else { });
  described = source.describe or false;
  date = if source ? date then secondsOf source.date else 1;

  fetched = pkgs: {
    github = fetchArchive pkgs (source.archive or (githubArchive source)) source.hash;
    url = fetchArchive pkgs source.url source.hash;
    git = builtins.fetchTree { type = "git"; url = source.git; inherit (source) rev; narHash = source.hash; allRefs = true; };
    path = ofPath source.path;
    goModule = pkgs.runCommand "source"
      {
        nativeBuildInputs = [ pkgs.go pkgs.cacert ];
        outputHash = source.hash;
        outputHashMode = "recursive";
        impureEnvVars = [ "GOPROXY" "http_proxy" "https_proxy" "no_proxy" "HTTP_PROXY" "HTTPS_PROXY" "NO_PROXY" ];
        SSL_CERT_FILE = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
        module = source.goModule;
        moduleVersion = source.version;
      } ''
      export HOME=$TMPDIR GOPATH=$TMPDIR/go GOCACHE=$TMPDIR/cache GOTOOLCHAIN=local GOFLAGS=-modcacherw
      # The hash above pins the content: no checksum database is asked.
      export GONOSUMDB='*' GONOSUMCHECK=1 GOSUMDB=off
      cd $TMPDIR
      go mod download "$module@$moduleVersion"
      cp -r "$(go list -m -f '{{.Dir}}' "$module@$moduleVersion")" $out
    '';
  }.${kind};

  # The source with its changes, and a .git if it is described: a store path.
  changed = pkgs:
    if !described then withChanges pkgs
    else
      pkgs.runCommand "source"
        { tree = withChanges pkgs; nativeBuildInputs = [ (describer pkgs) ]; inherit (source) tag; time = toString date; }
        ''
          cp -rP "$tree" "$out"
          chmod u+w "$out"
          describe "$out" "$tag" "$time"
        '';

  # The source with its changes. Patches and replacements are passed to the shell code as
  # files and variables only.
  withChanges = pkgs:
    if changes == [ ] then fetched pkgs
    else
      let
        number = i: toString i;
        envOf = i: change:
          if change ? patch then {
            "patch_${number i}" =
              if isAttrs change.patch then pkgs.fetchurl { inherit (change.patch) url; hash = known change.patch.hash; } else ofPath change.patch;
          }
          else if change ? add then { "file_${number i}" = change.file; "add_${number i}" = ofPath change.add; }
          else
            { "file_${number i}" = change.file; }
            // replacements i (builtins.attrNames change.replace) change.replace;
        replacements = i: texts: replace: builtins.listToAttrs (builtins.concatLists (genList
          (j:
            let text = elemAt texts j; in [
              { name = "from_${number i}_${number j}"; value = text; }
              { name = "to_${number i}_${number j}"; value = replace.${text}; }
            ])
          (length texts)));
      in
      pkgs.runCommand "source"
        (builtins.foldl' (env: i: env // envOf i (elemAt changes i))
          { fetched = fetched pkgs; changes = length changes; app = app.name; changeSource = ./change-source.sh; }
          (genList (i: i) (length changes)))
        ''. "$changeSource"'';
}

# The root file system of a Nix image: the base files of every image, the declared files
# and directories, and links to the package. The Nix store does not keep modes and owners,
# so they are data (`owners`) that the image builder applies.
{ app, componentName, component, pkgs, package, server, user }:
let
  inherit (builtins) any attrNames concatMap concatStringsSep elem filter foldl' listToAttrs map mapAttrs toString;

  quote = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";

  paths = import ./paths.nix;

  files = paths.cleanNames (component.files or { });
  # Attributes of a folder from several places are merged.
  directories = foldl' (known: more: known // mapAttrs (path: attributes: (known.${path} or { }) // attributes) more)
    { "/tmp" = { mode = "1777"; }; }
    [ volumes (paths.cleanNames (component.directories or { })) ];
  # A volume is writable for the user of the image.
  volumes = listToAttrs (map
    (path: { name = path; value = { inherit (user) uid gid; }; })
    (paths.volumes component));

  # Regular files: containerd does not follow links into the store here.
  etc = {
    passwd = ''
      root:x:0:0:root:/root:/sbin/nologin
      nobody:x:65534:65534:nobody:/:/sbin/nologin
    '' + (if user.uid == 0 || user.uid == 65534 then "" else ''
      app:x:${toString user.uid}:${toString user.gid}:app:/tmp:/sbin/nologin
    '');
    group = ''
      root:x:0:
      nobody:x:65534:
    '' + (if user.gid == 0 || user.gid == 65534 then "" else ''
      app:x:${toString user.gid}:
    '');
    "nsswitch.conf" = ''
      hosts: files dns
    '';
  };

  # The paths of the certificates in Debian, Fedora and OpenSSL.
  bundle = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
  bundles = [ "/etc/ssl/certs/ca-certificates.crt" "/etc/ssl/certs/ca-bundle.crt" "/etc/pki/tls/certs/ca-bundle.crt" "/etc/ssl/cert.pem" ];

  # The trees that are links to packages. A tree with a declared path below it becomes a
  # folder with a link to each entry of the package.
  trees = [ "/app" ] ++ (if server == null then [ ] else [ "/server" ]);
  inTree = path: any (paths.below path) trees;
  foldersInTrees = attrNames (listToAttrs (map (name: { inherit name; value = null; })
    (concatMap paths.parents (filter inTree (attrNames files ++ attrNames directories)) ++ filter inTree (attrNames directories))));
  open = if foldersInTrees == [ ] then "" else ''

    refuse() { echo ${quote "${app.name}: component ${componentName}"}": the package has $1" >&2; exit 1; }
    folder() {
      if [ -L "$out$1" ] && [ -d "$out$1" ]; then
        from=$(readlink -f "$out$1")
        rm "$out$1"
        mkdir "$out$1"
        for entry in "$from"/* "$from"/.[!.]* "$from"/..?*; do
          if [ -e "$entry" ] || [ -L "$entry" ]; then ln -s "$entry" "$out$1/"; fi
        done
      elif [ -e "$out$1" ] || [ -L "$out$1" ]; then
        [ -d "$out$1" ] || refuse "a file $1, where a folder is declared"
      else
        mkdir "$out$1"
      fi
    }
    ${concatStringsSep "\n" (map (path: "folder ${quote path}") foldersInTrees)}
    ${concatStringsSep "\n" (map (path: "[ ! -d \"$out\"${quote path} ] || refuse \"a folder \"${quote path}\", where a file is declared\"") (filter inTree (attrNames files)))}
  '';

  place = path: source: ''
    mkdir -p "$out"/${quote (dirOf path)}
    rm -f "$out"/${quote path}
    cp -L ${source} "$out"/${quote path}
  '';
  # Files in the store get fixed names, because not all file names are valid there.
  isFolder = path: (builtins.readDir (dirOf path)).${baseNameOf path} or "" == "directory";
  fileSource = path: file:
    if file ? source && isFolder file.source
    then throw "${app.name}: component ${componentName}: files ${builtins.toJSON path}: source is a folder, expected a file: list each file, or put the folder into the package"
    else if file ? source then "${builtins.path { path = file.source; name = "file"; }}"
    else pkgs.writeText "file" (file.text or "");
in
{
  tree = pkgs.runCommand "${app.name}-${componentName}-root" { } ''
    mkdir -p $out
    ${concatStringsSep "" (map (n: place "/etc/${n}" (pkgs.writeText n etc.${n})) (attrNames etc))}
    ${concatStringsSep "" (map (path: "mkdir -p $out${dirOf path}\nln -s ${bundle} $out${path}\n") bundles)}
    ${concatStringsSep "" (map (path: "mkdir -p \"$out\"/${quote path}\n") (filter (path: !(inTree path)) (attrNames directories)))}
    ln -s ${package} $out/app
    ${if server == null then "" else "ln -s ${server} $out/server"}${open}
    ${concatStringsSep "" (map (path: place path (fileSource path files.${path})) (attrNames files))}
  '';

  # Absolute path in the image → mode (octal), uid, gid.
  owners =
    let owned = mode: mapAttrs (_: entry: { mode = entry.mode or mode; uid = entry.uid or 0; gid = entry.gid or 0; });
    in owned "0755" directories // owned "0644" files;
}

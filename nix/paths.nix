# The paths that a component declares in its image: volumes, directories, files, its
# program and its working directory. Each is normalised, /var/x for /var//x/ and /var/./x,
# and checked against the others and those of libre, before anything is built.
let
  inherit (builtins) all any attrNames concatMap concatStringsSep elem elemAt filter foldl' genList
    head isString length listToAttrs map mapAttrs match split stringLength substring toJSON;

  # The names in a path.
  names = path: filter (n: isString n && n != "" && n != ".") (split "/+" path);
  join = parts: "/" + concatStringsSep "/" parts;
  clean = path: join (names path);
  # The target of "/a/b/../c": "/a/c".
  resolved = path: join (foldl'
    (at: name: if name != ".." then at ++ [ name ] else if at == [ ] then [ ] else genList (elemAt at) (length at - 1))
    [ ]
    (names path));

  inherit (import ./types.nix) isUTF8 show;

  startsWith = prefix: text: substring 0 (stringLength prefix) text == prefix;
  below = path: folder: startsWith "${folder}/" path;
  at = path: folder: path == folder || below path folder;

  maxName = 255; # bytes, as in Linux
  maxPath = 2048; # bytes; during a build there is a folder before it

  # Why a path is invalid in every image, null if it is valid.
  unfit = path:
    if stringLength path > maxPath then "is a path of ${toString (stringLength path)} bytes, expected at most ${toString maxPath}"
    else if any (n: stringLength n > maxName) (names path) then "has a name of more than ${toString maxName} bytes"
    else if match ".*[[:cntrl:]].*" path != null then "has a control character, expected an absolute path like \"/data\""
    else if !(all isUTF8 (names path)) then "is not UTF-8"
    else if !(startsWith "/" path)
    then "is relative, expected an absolute path like ${toJSON (if resolved path == "/" then "/data" else resolved path)}"
    else if elem ".." (names path) then "has \"..\", write ${toJSON (resolved path)}"
    else if names path == [ ] then "is the whole image, expected a path in it like \"/data\""
    else if any (startsWith ".wh.") (names path)
    then "has a name that begins with \".wh.\", which marks a deleted file in a layer: choose another name"
    else null;

  # Paths that the host and the engine provide in every container.
  engines = kind: path:
    if at path "/proc" || at path "/sys" || path == "/dev" || kind != "volumes" && below path "/dev"
    then "is hidden by a file system of the kernel: choose another path"
    else if at path "/opt/libre" then "is reserved for the tools of debug images: choose another path"
    else null;

  # Files that libre adds to an image built by Nix. A definition may replace them.
  madeFiles = [
    "/etc/passwd" "/etc/group" "/etc/nsswitch.conf"
    "/etc/ssl/certs/ca-certificates.crt" "/etc/ssl/certs/ca-bundle.crt" "/etc/pki/tls/certs/ca-bundle.crt" "/etc/ssl/cert.pem"
  ];
  engineFiles = [ "/etc/hosts" "/etc/hostname" "/etc/resolv.conf" ];

  nixImage = hasServer: kind: path:
    let
      trees = [ "/app" ] ++ (if hasServer then [ "/server" ] else [ ]);
      hides = filter (file: below file path) madeFiles;
      file = filter (at path) (madeFiles ++ engineFiles);
    in
    if at path "/nix" then "is reserved for the Nix store: choose another path"
    else if elem path trees then "is the package itself, and read-only: choose a path below it, or another one"
    else if file != [ ] && (kind != "files" || path != head file) then "cannot be: ${head file} is a file"
    else if kind == "files" && (hides != [ ] || elem path [ "/opt" "/tmp" ]) then "cannot be a file: it is a folder of the image"
    else if kind == "volumes" && hides != [ ] then "would hide ${head hides}: choose another folder"
    else null;

  # A missing working directory is created; "/" is valid too.
  startProblem = c:
    let given = c.workingDir or "/"; found = if names given == [ ] then null else unfit given; in
    if found == null then [ ]
    else [ "${if found == "is not UTF-8" then "workingDir" else "workingDir ${show given}"} ${found}" ];

  # The program of a container: an absolute path, or a path in the package.
  programProblem = c:
    let program = head c.entrypoint; in
    if (c.entrypoint or [ ]) == [ ] then [ ]
    else if program == "" then [ "entrypoint begins with \"\", expected a program like \"bin/web\"" ]
    else if c ? package && !(startsWith "/" program) && elem ".." (names program)
    then [ "entrypoint ${show program} leads out of the package, write ${toJSON (resolved ("/app/" + program))}" ]
    else [ ];

  twoContents = c: concatMap
    (n: if c.files.${n} ? text && c.files.${n} ? source then [ "files ${toJSON n} has both text and source, expected one of them" ] else [ ])
    (attrNames (c.files or { }));

  # All declared paths of a component.
  declared = c: concatMap
    (kind: map (given: { inherit kind given; path = clean given; }) {
      volumes = c.volumes or [ ];
      directories = attrNames (c.directories or { });
      files = attrNames (c.files or { });
    }.${kind}) [ "volumes" "directories" "files" ];

  name = d: "${d.kind} ${show d.given}";

  # Conflicts of two declared paths. Two volumes with one path are one volume.
  collision = a: b:
    if a.path == b.path then
      if a.kind == b.kind && a.given == b.given || a.kind == "volumes" && b.kind != "files" then null
      else if (a.kind == "files") != (b.kind == "files") then "${name a} is a folder, and ${name b} a file of the same path"
      else "${name a} and ${name b} are the same path: keep one"
    else if a.kind == "files" && below b.path a.path then "${name b} is below the file ${name a}"
    else if b.kind == "files" && below a.path b.path then "${name a} is below the file ${name b}"
    else null;
  collisions = list: concatMap
    (i: concatMap
      (j: let found = collision (elemAt list i) (elemAt list j); in if found == null then [ ] else [ found ])
      (genList (n: i + 1 + n) (length list - i - 1)))
    (genList (i: i) (length list));

  firstOf = list: let found = filter (x: x != null) list; in if found == [ ] then null else head found;
in
{
  inherit clean below;

  # The parents of a normalised path, the outermost first.
  parents = path: let parts = names path; in genList (n: join (genList (elemAt parts) (n + 1))) (length parts - 1);

  # problems WHERE COMPONENT: the problems of the declared paths, as lines. The types are
  # checked before.
  problems = where: c:
    let
      list = declared c;
      inNix = if c ? package then nixImage (c ? server) else _: _: null;
      problemOf = d:
        let
          raw = unfit d.given;
          found = if raw != null then raw else firstOf [ (engines d.kind d.path) (inNix d.kind d.path) ];
          shown = if raw == "is not UTF-8" then "a path of ${d.kind}" else name d;
        in
        if found == null then [ ] else [ "${where}: ${shown} ${found}" ];
      single = concatMap problemOf list;
      start = clean (c.workingDir or "/");
      file = filter (d: d.kind == "files" && at start d.path) list;
    in
    if single != [ ] then single
    else
      map (text: "${where}: ${text}") (startProblem c ++ programProblem c ++ twoContents c
        ++ collisions list
        ++ map (d: "workingDir ${toJSON c.workingDir} is not a folder: ${name d} is a file") file);

  # A program's path in its image: a relative one is in the package, or in the server.
  resolve = c: argv:
    if !(c ? package) || argv == [ ] || startsWith "/" (head argv) then argv
    else [ "${if c ? server then "/server" else "/app"}/${head argv}" ] ++ builtins.tail argv;

  # A component's volumes, each once.
  volumes = c: foldl' (seen: v: if elem v seen then seen else seen ++ [ v ]) [ ] (map clean (c.volumes or [ ]));

  # A set with paths as names, normalised.
  cleanNames = set: listToAttrs (map (n: { name = clean n; value = set.${n}; }) (attrNames set));
}

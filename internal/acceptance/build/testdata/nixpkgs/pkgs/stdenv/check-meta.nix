# Whether a package may be used: `meta` tells it without a complaint, `handled` throws.
{ hostSystem }:
name: meta:
let
  unsupported = !(builtins.elem hostSystem (meta.platforms or [ hostSystem ]));
  unfree = !(meta.license.free or true);
  insecure = (meta.knownVulnerabilities or [ ]) != [ ];
  broken = meta.broken or false;
  problem =
    if unfree then "has an unfree license (‘${meta.license.shortName}’)"
    else if broken then "is marked as broken"
    else if unsupported then "is not available on the requested hostPlatform"
    else if insecure then "is marked as insecure"
    else null;
  handleReason = problem: throw ''
    Package ‘${name}’ in ${toString ./.}/packages.nix:7 ${problem}, refusing to evaluate.

    a) To temporarily allow it, set an environment variable.
    error: this line is part of the message
    b) For `nixos-rebuild` you can set an option.
  '';
in
{
  meta = meta // { inherit unsupported unfree insecure broken; available = problem == null; };
  handled = if problem == null then true else handleReason problem;
}

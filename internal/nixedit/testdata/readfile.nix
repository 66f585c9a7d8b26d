# What libre does not edit.
let lib = { fakeHash = "sha256-AAAA"; }; choose = x: x; in
{
  version = builtins.substring 0 3 "1.0.0";
  json = (builtins.fromJSON ''{ "version": "1.0" }'').version;
  hash = lib.fakeHash;
  if' = if true then "1.0" else "2.0";
  applied = choose "1.0";
  bracketed = ("1.0");
  url = https://example.org;
  path = ./.;
  list = [ "1.0" ];
  version2 = with lib; fakeHash;
}

let version = "1.0"; hash = "sha256-x"; set = { tag = "v1"; rev = "abc"; }; in
{
  inherit version hash;
  inherit (set) tag
    rev; # two lines
  inherit;
  source = { inherit hash; date = "2026-01-01"; inherit (set) tag; };
  inherit (let inner = { deep = "1"; }; in inner) deep;
  after = "2.0";
}

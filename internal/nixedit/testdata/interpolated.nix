let v = "1.0"; in
rec {
  version = v;
  tag = "v${version}";
  plain = "${v}";
  url = "https://example.org/${version}/${"x" + "${tag}"}.tar.gz";
  both = "${v}.${toString 1}";
  attr = { "${v}" = "named"; ${tag} = "named too"; };
  source = { inherit ({ ${"date"} = "2026-01-01"; }) "date"; hash = "sha256-x"; };
}

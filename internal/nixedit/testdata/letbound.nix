let
  ver = "1.2.3";
  number = 4;
  old.ver = "0.9";
  hidden = "outer";
in
{
  version = ver;
  packageVersion = number;
  tag = "v${ver}";
  old = old.ver;
  shadowed = let hidden = "inner"; in hidden;
  inner = let own = "7"; in { value = own; };
  fromWith = with { w = "8"; }; w;
  withLoses = with { ver = "no"; }; ver;
  twice = let hidden = "a"; in { value = hidden; };
}

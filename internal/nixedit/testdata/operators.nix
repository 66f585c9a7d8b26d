{ pkgs ? { }, ... }:
let f = x: x; l = [ 1 2 ]; s = { a.b = 1; }; in
{
  a = f "1";
  b = f { c = "2"; };
  d = s // { e = "3"; } // rec { g = "4"; h = g; };
  i = (f { j = "5"; }).j;
  k = builtins.elemAt l 0;
  m = s.a.b or 1;
  n = with s; a;
  o = if s ? a then "yes" else "no";
  p = "a" == "b";
  q = l ++ [ "x" ] ++ l;
  r = removeAttrs { t = "6"; u = "7"; } [ "u" ];
  v = -1 + 2 * 3 / 4 - 5;
  w = !true || false -> true;
  version = "1.0";
}

args@{ mkApp ? x: x, pkgs ? { }, version ? "0.0", ... }:
let
  f = { a, b ? "1", }: { inherit a b; };
  g = { ... }@all: all;
  h = { x }: { v = x; };
  k = { }: { v = "1"; };
  curried = a: b: c: { sum = a; };
in
{
  arg = version;
  literal = "5.0";
  called = f { a = "2"; };
  whole = g { z = "3"; };
  one = h { x = "4"; };
  none = k { };
  inner = (name: { value = name; lit = "x"; }) "y";
  three = curried 1 2 3;
  op = if 1 == 1 && !(2 < 1) || 3 >= 4 -> true then { yes = "1"; } else { no = "2"; };
  has = { a = 1; } ? a.b;
  chosen = { a = 1; }.b or "default";
  asserted = assert true; { v = "6"; };
}

rec {
  ver = "2.0";
  version = ver;
  again = rec { version = ver; sub.version = version; };
  inherit ({ a = 1; b = 2; }) a b;
  more = { inherit ver version; inherit a; };
  list = [ { version = "in a list"; } ver ];
  self = { x = 1; }.x;
  neg = -1;
  paren = ("1.0");
  sum = "1." + "2";
  yes = true;
  nothing = null;
}

{
  a = { b = { c = { d = { version = "1.0"; }; version = "2.0"; }; version = "3.0"; }; version = "4.0"; };
  e = rec { f = "1"; g = { h = f; i = rec { j = f; k = j; }; }; };
  l = (((((({ m = "5.0"; }))))));
  n = { o = [ [ [ { p = 1; } ] ] ]; };
}

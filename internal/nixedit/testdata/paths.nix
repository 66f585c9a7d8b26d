let x = "y"; f = a: b: 1; a = 4; b = 2; in
{
  patches = [ ./a.patch ./b.patch ../c/d.patch ];
  minus = [ -./x ];
  glued = [./a.patch./b.patch];
  div = a / b;
  one = ./${x}/y;
  two = ./a${x}b/${x}.c;
  three = /${x};
  four = [ ./a${x} ./b ];
  url = https://example.org/a?b=c&d=e;
  lambda = x: x;
  notlambda = x:x;
  update = { a = 1; } // { b = "2"; };
  cat = [ 1 ] ++ [ 2 ];
  version = "1.0";
}

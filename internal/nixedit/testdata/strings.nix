{
  a = "\"";
  b = "\\";
  c = "}";
  d = "${"}"}";
  e = "${toString { x = "}"; }.x}";
  f = "$";
  g = "$${a}";
  h = "\${a}";
  i = "a
  multi = line;
  ";
  j = "#no comment"; k = "/* none */"; l = "''";
  m = "${"${"${"deep"}"}"}";
  n = "$\"";
  o = "$$$$";
  p = "'";
  q = "é ü 漢字 🎈"; r = "after";
  version = "1.0";
}
